"""The k x k windows of a convolution or a pooling. Arrays are (N, H, W, C)."""


def output_size(name, x, kernel, stride, padding):
    """Return (out_h, out_w) of windows over x (N, H, W, C); `name` is the op's, for the message.

    Raises:
        ValueError: x has not four axes, the settings are no whole numbers in range, or no window fits.
    """
    if not all(isinstance(value, int) and value >= low for value, low in ((kernel, 1), (stride, 1), (padding, 0))):
        raise ValueError(
            f"{name} with kernel {kernel}, stride {stride}, padding {padding}: they must be whole numbers, "
            "kernel and stride 1 or more, padding 0 or more"
        )
    if x.ndim != 4:
        raise ValueError(f"{name} of x {x.shape}: expected images (N, H, W, C); one image is x[None]")
    size = tuple(output_length(length, kernel, stride, padding) for length in x.shape[1:3])
    if min(size) < 1:
        raise ValueError(
            f"{name}: {kernel}x{kernel} windows do not fit an image of {x.shape[1]}x{x.shape[2]} pixels with "
            f"padding {padding}; use a larger image, a smaller kernel, or more padding"
        )
    return size


def output_length(length, kernel, stride, padding):
    """How many windows fit along an axis."""
    return (length + 2 * padding - kernel) // stride + 1


def pad(xp, x, padding, value=0):
    """x inside a border: (N, H + 2 padding, W + 2 padding, C)."""
    return xp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=value)


def taps(padded, kernel, stride):
    """The k*k views (N, H_out, W_out, C): the first pixels of all windows, the second ones, ... row by row."""
    out_h, out_w = (output_length(length, kernel, stride, 0) for length in padded.shape[1:3])
    return [
        padded[:, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
