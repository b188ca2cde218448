"""Matrix products in blocks that OpenBLAS multiplies as they lie; larger matrices it repacks before.

The repacking is a tenth to a quarter of the time, the more the fewer rows or columns there are.
"""

import functools
import itertools

import numpy as np

SMALL_GEMM = 10**6  # rows * inner length * columns that OpenBLAS multiplies without repacking
LEAST_ROWS, LEAST_INNER, LEAST_COLUMNS = 24, 64, 16  # of a block: with less it is slower
MOST_INNER, MOST_COLUMNS = 1024, 64  # with more it is not faster


class RightFactor:
    """A matrix (K, N) that rows are multiplied by, one set of them after the other. It is cut into blocks once.

    Args:
        matrix: (..., K, N); with further axes, a stack of matrices.
    """

    def __init__(self, matrix):
        self.matrix, self.arranged = matrix, {}

    def multiply(self, rows, out, stack=...):
        """Fill out (..., M, N) with rows (..., M, K) @ matrix; all C-contiguous.

        Args:
            stack: of a stack of matrices those to be used, a slice.
        """
        (*_, count, k), n = rows.shape, self.matrix.shape[-1]
        if not isinstance(rows, np.ndarray):
            out[...] = rows @ self.matrix
            return
        block = cut(count, k, n) if count * k * n > SMALL_GEMM else None
        if block is None:
            np.matmul(rows, self.matrix[stack], out=out)
            return
        length, inner, columns = block
        parts = k // inner
        blocks = self.blocks(inner, columns)[stack]
        rows = rows.reshape(*rows.shape[:-2], -1, 1, length, parts, inner)
        out = out.reshape(*out.shape[:-2], -1, length, n // columns, columns).swapaxes(-3, -2)
        np.matmul(rows[..., 0, :], blocks[..., 0, :, :, :], out=out)
        for part in range(1, parts):
            out += rows[..., part, :] @ blocks[..., part, :, :, :]

    def blocks(self, inner, columns):
        """The matrix as blocks (..., 1, K / inner, N / columns, inner, columns)."""
        if (inner, columns) not in self.arranged:
            *stack, k, n = self.matrix.shape
            blocks = self.matrix.reshape(*stack, 1, k // inner, inner, n // columns, columns).swapaxes(-3, -2)
            self.arranged[inner, columns] = np.ascontiguousarray(blocks)
        return self.arranged[inner, columns]


def cut(rows, inner, columns):
    """How to cut a product of (rows, inner) and (inner, columns) into small ones.

    Returns:
        rows, inner length and columns of a block, divisors of the whole ones; None if no blocks are worth it.
    """
    halves = itertools.product((LEAST_ROWS, LEAST_ROWS // 2), (MOST_INNER, MOST_INNER // 2), (MOST_COLUMNS, 32))
    for least_rows, most_inner, most_columns in halves:
        block_inner = largest_divisor(inner, min(inner, LEAST_INNER), most_inner)
        block_columns = largest_divisor(columns, min(columns, LEAST_COLUMNS), most_columns)
        if block_inner and block_columns:
            length = largest_divisor(rows, least_rows, SMALL_GEMM // (block_inner * block_columns))
            if length:
                return length, block_inner, block_columns
    return None


def small_block(length, inner, other):
    """How long the blocks of a product's rows (or columns) should be: a divisor of `length`, or 0 if none will do.

    Args:
        inner, other: the length of the sums, and how many columns (or rows) the product has.
    """
    return largest_divisor(length, 64, SMALL_GEMM // (inner * other))


@functools.cache
def largest_divisor(number, low, high):
    """The largest divisor of `number` from low to high, or 0 if there is none."""
    return next((divisor for divisor in range(min(number, high), low - 1, -1) if number % divisor == 0), 0)
