"""Matrix products in blocks that OpenBLAS multiplies as they lie; larger matrices it repacks before.

The repacking is a tenth to a quarter of the time, the more the fewer rows or columns there are.
"""

import functools

import numpy as np

SMALL_GEMM = 10**6  # rows * inner length * columns that OpenBLAS multiplies without repacking
LEAST = 64  # rows, columns or inner length that are worth a block
LEAST_ROWS, LEAST_COLUMNS = 12, 16  # of a block of RightFactor, whose matrix is not repacked either
MOST_INNER, MOST_COLUMNS, MOST_VALUES = 512, 64, 1 << 14  # of a block of its matrix


class RightFactor:
    """A matrix (K, N) that many sets of rows are multiplied by.

    A block of its columns would lie scattered over the memory. So the matrix is laid out anew, once, block by
    block; rows need no such thing.

    Args:
        matrix: (..., K, N); with further axes, a stack of matrices.
    """

    def __init__(self, matrix):
        k, n = matrix.shape[-2:]
        self.matrix = matrix
        self.inner = largest_divisor(k, min(k, LEAST), MOST_INNER)
        most_columns = min(MOST_COLUMNS, MOST_VALUES // max(1, self.inner))
        self.columns = largest_divisor(n, min(n, LEAST_COLUMNS), most_columns)

    @functools.cached_property
    def blocks(self):
        """The matrix as blocks (..., 1, K / inner, N / columns, inner, columns)."""
        *stack, k, n = self.matrix.shape
        blocks = self.matrix.reshape(*stack, 1, k // self.inner, self.inner, n // self.columns, self.columns)
        return np.ascontiguousarray(blocks.swapaxes(-3, -2))

    def multiply(self, rows, out, stack=...):
        """Fill out (..., M, N) with rows (..., M, K) @ matrix; all C-contiguous.

        Args:
            stack: of a stack of matrices those to be used, a slice.
        """
        length = self.block_length(rows)
        if not length:
            np.matmul(rows, self.matrix[stack], out=out)
            return
        inner, columns, blocks = self.inner, self.columns, self.blocks[stack]
        # (..., M / length, 1, length, K / inner, inner): a block of rows meets all blocks of columns
        rows = rows.reshape(*rows.shape[:-2], -1, 1, length, rows.shape[-1] // inner, inner)
        # (..., M / length, N / columns, length, columns)
        out = out.reshape(*out.shape[:-2], -1, length, out.shape[-1] // columns, columns).swapaxes(-3, -2)
        np.matmul(rows[..., 0, :], blocks[..., 0, :, :, :], out=out)
        for part in range(1, rows.shape[-2]):
            out += rows[..., part, :] @ blocks[..., part, :, :, :]

    def block_length(self, rows):
        """How many rows a block should have, or 0 if these rows are better multiplied as they are."""
        (count, k), (inner, n) = rows.shape[-2:], self.matrix.shape[-2:]
        if count * k * n <= SMALL_GEMM or k != inner or not (self.inner and self.columns):
            return 0
        return largest_divisor(count, LEAST_ROWS, SMALL_GEMM // (self.inner * self.columns))


def small_block(length, inner, other):
    """How long the blocks of a product's rows (or columns) should be: a divisor of `length`, or all of it.

    Args:
        inner, other: the length of the sums, and how many columns (or rows) the product has.
    """
    return largest_divisor(length, LEAST, SMALL_GEMM // (inner * other)) or length


@functools.cache
def largest_divisor(number, low, high):
    """The largest divisor of `number` from low to high, or 0 if there is none."""
    return next((divisor for divisor in range(min(number, high), low - 1, -1) if number % divisor == 0), 0)
