# ruff: noqa: B018, F811, F821, RET503, RET504  (the notebook defines the other names)
"""Typical wrong answers of lesson 4. A heading holds the exercise, and what check() must say about the cell."""

# %% 04.1: the kernel's own length is forgotten


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding) // stride + 1


# %% 04.1: the kernel's own length is forgotten


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding) // stride


# %% 04.1: it rounds up


def output_length(length, kernel, stride, padding):
    return -(-(length + 2 * padding - kernel) // stride) + 1


# %% 04.1: one window more than there are steps


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - kernel) // stride


# %% 04.1: the padding is counted once


def output_length(length, kernel, stride, padding):
    return (length + padding - kernel) // stride + 1


# %% 04.1: the padding plays no part


def output_length(length, kernel, stride, padding):
    return (length - kernel) // stride + 1


# %% 04.1: stands inside the division


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - kernel + 1) // stride


# %% 04.1: a number of windows is a whole number


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - kernel) / stride + 1


# %% 04.1: the stride plays no part


def output_length(length, kernel, stride, padding):
    return length + 2 * padding - kernel + 1


# %% 04.1: rounds to the nearest


def output_length(length, kernel, stride, padding):
    return round((length + 2 * padding - kernel) / stride) + 1


# %% 04.1: windows that lie side by side


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding) // kernel


# %% 04.1: the kernel's own length is forgotten


def output_length(length, kernel, stride, padding):
    return len(range(0, length + 2 * padding, stride))


# %% 04.1: the division is by stride + 1


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - kernel) // (stride + 1)


# %% 04.1: kernel and stride are exchanged


def output_length(length, kernel, stride, padding):
    return (length + 2 * padding - stride) // kernel + 1


# %% 04.1: is added to the number of windows


def output_length(length, kernel, stride, padding):
    return (length - kernel) // stride + 1 + 2 * padding


# %% 04.1: the division reaches only the kernel


def output_length(length, kernel, stride, padding):
    return length + 2 * padding - kernel // stride + 1


# %% 04.1: one whole number is asked for
def output_length(length, kernel, stride, padding):
    return divmod(length + 2 * padding - kernel, stride)


# %% 04.2: turned by 180 degrees


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[k - 1 - a, k - 1 - b]
    return y


# %% 04.2: down and across are exchanged


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[b, a]
    return y


# %% 04.2: each tap writes over


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y = tap @ weight[a, b]
    return y


# %% 04.2: returns inside the loop


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
            return y


# %% 04.2: the loops end too early


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k - 1):
        for b in range(k - 1):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: the stride plays no part


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, 1, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + height, b : b + width]
            y += tap @ weight[a, b]
    return y


# %% 04.2: the padding plays no part


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), x
    height, width = (output_length(length, k, stride, 0) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: was put on after the convolution


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), x
    height, width = (output_length(length, k, stride, 0) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return pad(y, padding)


# %% 04.2: have different sizes


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a::stride, b::stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: walks along the diagonal


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in [a]:
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: the dtype is float64


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]))
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: the border repeats


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="edge")
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y


# %% 04.2: the mean over the taps


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    return y / k**2


# %% 04.2: it returns None


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap @ weight[a, b]
    y


# %% 04.2: stops with ValueError


def conv_by_taps(x, weight, stride=1, padding=0):
    k, padded = len(weight), pad(x, padding)
    height, width = (output_length(length, k, stride, padding) for length in x.shape[1:3])
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for a in range(k):
        for b in range(k):
            tap = padded[:, a : a + stride * height : stride, b : b + stride * width : stride]
            y += tap * weight[a, b]
    return y


# %% 04.2: that function does the whole exercise; it is to be written here, and compared with after
def conv_by_taps(x, weight, stride=1, padding=0):
    return conv2d(Tensor(x), Tensor(weight), stride, padding).data


# %% 04.3: the channels stay in front


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: across and down are exchanged


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 5, 4, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: lists channel, across, down


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 3, 5, 4)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: the stride plays no part


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: the padding plays no part


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: here a window is a row


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3]).T


# %% 04.3: the taps come first


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(4, 5, 0, 1, 2, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: a matrix has two


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows


# %% 04.3: rows of another length


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, x.shape[3])


# %% 04.3: column by column


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 2, 1, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: across columns and channels


def im2col(x, k, stride=1, padding=0):
    windows = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(2, 3))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(-1, k * k * x.shape[3])


# %% 04.3: the array holds another number of windows than the shape asked for; stride and padding c
def im2col(x, k, stride=1, padding=0):
    w = np.lib.stride_tricks.sliding_window_view(pad(x, padding), (k, k), axis=(1, 2))[:, ::stride, ::stride]
    return w.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k * k * 3)


# %% 04.4: = in place of +=


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] = d_windows[
                :, :, :, a, b
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: the border is still there


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
    return d_padded


# %% 04.4: what fell on the border is lost in the wrong place


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
    return d_padded[:, 0:height, 0:width]


# %% 04.4: cut off at the left and above only


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
    return d_padded[:, 2 * padding :, 2 * padding :]


# %% 04.4: down and across are exchanged


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += d_windows[
                :, :, :, b, a
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: the rows are read as channel, down, across


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, c, k, k)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += d_windows[
                :, :, :, :, a, b
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: the dtype is float64


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += d_windows[
                :, :, :, a, b
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: the mean over the windows


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
    ones = pad(np.zeros(shape), padding)
    for a in range(k):
        for b in range(k):
            ones[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += 1
    d_padded = (d_padded / np.maximum(ones, 1)).astype(d_rows.dtype)
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: each writes over what the others have left


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for i in range(h_out):
        for j in range(w_out):
            d_padded[:, i * stride : i * stride + k, j * stride : j * stride + k] = d_windows[:, i, j]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: the zeros were never filled


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, stride, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            part = d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride]
            part = part + d_windows[:, :, :, a, b]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.4: holds another number of windows


def col2im(d_rows, shape, k, stride=1, padding=0):
    n, height, width, c = shape
    h_out, w_out = (output_length(length, k, 1, padding) for length in (height, width))
    d_windows = d_rows.reshape(n, h_out, w_out, k, k, c)
    d_padded = pad(np.zeros(shape, d_rows.dtype), padding)
    for a in range(k):
        for b in range(k):
            d_padded[:, a : a + stride * h_out : stride, b : b + stride * w_out : stride] += d_windows[
                :, :, :, a, b
            ]
    return d_padded[:, padding : padding + height, padding : padding + width]


# %% 04.5: the kernel is not turned


def gradient_of_x(g, weight, padding):
    turned = weight.swapaxes(2, 3)
    return conv(g, turned, padding=len(weight) - 1 - padding)


# %% 04.5: turned down, but not across


def gradient_of_x(g, weight, padding):
    turned = weight[::-1].swapaxes(2, 3)
    return conv(g, turned, padding=len(weight) - 1 - padding)


# %% 04.5: the kernel is transposed


def gradient_of_x(g, weight, padding):
    turned = weight.swapaxes(0, 1).swapaxes(2, 3)
    return conv(g, turned, padding=len(weight) - 1 - padding)


# %% 04.5: does not give back the size of x


def gradient_of_x(g, weight, padding):
    turned = weight[::-1, ::-1].swapaxes(2, 3)
    return conv(g, turned, padding=padding)


# %% 04.5: does not give back the size of x


def gradient_of_x(g, weight, padding):
    turned = weight[::-1, ::-1].swapaxes(2, 3)
    return conv(g, turned, padding=len(weight) - 1)


# %% 04.5: must change their roles


def gradient_of_x(g, weight, padding):
    turned = weight[::-1, ::-1]
    return conv(g, turned, padding=len(weight) - 1 - padding)


# %% 04.5: a padding cannot be negative


def gradient_of_x(g, weight, padding):
    turned = weight[::-1, ::-1].swapaxes(2, 3)
    return conv(g, turned, padding=padding - len(weight) + 1)


# %% 04.5: turned by 90 degrees


def gradient_of_x(g, weight, padding):
    return conv(g, np.rot90(weight).swapaxes(2, 3), padding=len(weight) - 1 - padding)


# %% 04.5: the channels are turned round, too


def gradient_of_x(g, weight, padding):
    return conv(g, weight[::-1, ::-1, ::-1, ::-1].swapaxes(2, 3), padding=len(weight) - 1 - padding)
