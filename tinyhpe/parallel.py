"""Several cores: one batch, cut into parts of images, a thread for each part.

Python runs one thread at a time, but NumPy lets others run while it copies, adds or multiplies whole arrays. An op
is little else. BLAS could use the cores itself, but only inside one matrix product, and the chunks of a
convolution are too small to be shared out; so while we use threads, BLAS gets one.
"""

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

_pool, _threads = None, 1


@contextlib.contextmanager
def threads(count):
    """Inside this context, ops use `count` threads (the caller's among them), and BLAS one in each."""
    global _pool, _threads
    before = _pool, _threads
    with ThreadPoolExecutor(max(1, count - 1)) as pool, threadpool_limits(1, "blas"):
        _pool, _threads = pool, count
        try:
            yield
        finally:
            _pool, _threads = before


def over_parts(function, count, least=1):
    """Call function(part) with slices that together cover range(count), side by side, and list the results.

    Args:
        least: parts have at least so many of the `count`. To start a thread takes some 50 microseconds, and while
            one runs Python the others cannot, so parts that take less than half a millisecond are not worth it.
    """
    parts = min(_threads, count // least)
    if parts < 2:
        return [function(slice(0, count))]
    bounds = [count * i // parts for i in range(parts + 1)]
    first, *others = (slice(start, end) for start, end in itertools.pairwise(bounds))
    coming = [_pool.submit(function, part) for part in others]
    return [function(first), *(future.result() for future in coming)]
