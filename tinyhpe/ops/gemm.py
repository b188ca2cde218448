"""Matrix products in blocks that OpenBLAS multiplies as they lie; larger matrices it repacks before.

With few channels the repacking is a quarter of the time.
"""

import functools

SMALL_GEMM = 10**6  # rows * inner length * columns that OpenBLAS multiplies without repacking
LEAST = 64  # rows, or columns, that are worth a call


def small_block(length, inner, other):
    """How long the blocks of a product's rows (or columns) should be: a divisor of `length`, or 0 if none will do.

    Args:
        inner, other: the length of the sums, and how many columns (or rows) the product has.
    """
    return largest_divisor(length, LEAST, SMALL_GEMM // (inner * other))


@functools.cache
def largest_divisor(number, low, high):
    """The largest divisor of `number` from low to high, or 0 if there is none."""
    return next((divisor for divisor in range(min(number, high), low - 1, -1) if number % divisor == 0), 0)
