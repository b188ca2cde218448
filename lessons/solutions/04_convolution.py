# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 4. Each cell stands in place of the exercise cell of the same number."""

# %% 04.1
# Exercise 04.1


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - kernel) // stride + 1


# %% 04.2
# Exercise 04.2


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.3
# Exercise 04.3


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.4
# Exercise 04.4


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += d_windows[
                :, :, :, a, b
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.5
# Challenge 04.5


def gradient_of_x(g, weight, padding):
    turned = weight[::-1, ::-1].swapaxes(2, 3)
    return conv(g, turned, padding=len(weight) - 1 - padding)
