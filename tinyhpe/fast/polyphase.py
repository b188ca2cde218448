"""Images dealt out to phases: every stride-th column lies in the same one."""

import numpy as np


class Polyphase:
    """x inside a border, its columns dealt out to `stride` phases (as polyphase filters do).

    So the first (second, ...) elements of all windows of a row lie side by side in memory, and NumPy runs over
    them in one long loop instead of one for each pixel.

    Args:
        shape: (N, H, W, C) of x.
        fill: value of the border, and of all else until put() is called.
    """

    def __init__(self, shape, dtype, stride, padding, fill=0):
        count, height, width, channels = shape
        columns = -(-(width + 2 * padding) // stride)
        self.array = np.full((count, height + 2 * padding, stride, columns, channels), fill, dtype)
        self.stride, self.inside = stride, slice(padding, padding + height)
        self.places = []  # for each phase: its columns inside the border, and the columns of x that they are
        for phase in range(stride):
            first = (phase - padding) % stride
            start = (first + padding) // stride
            length = len(range(first, width, stride))
            self.places.append((slice(start, start + length), slice(first, None, stride)))

    def put(self, x):
        """Fill the inside with x (N, H, W, C)."""
        for phase, (columns, source) in enumerate(self.places):
            self.array[:, self.inside, phase, columns] = x[:, :, source]

    def take(self, x):
        """Fill x (N, H, W, C) with the inside."""
        for phase, (columns, target) in enumerate(self.places):
            x[:, :, target] = self.array[:, self.inside, phase, columns]

    def taps(self, kernel, out_h, out_w):
        """The k*k views (N, out_h, out_w, C): the first elements of all windows, the second, ... row by row."""
        s = self.stride
        return [
            self.array[:, i : i + s * (out_h - 1) + 1 : s, j % s, j // s : j // s + out_w]
            for i in range(kernel)
            for j in range(kernel)
        ]
