"""Several cores: one batch, cut into parts of images, a thread for each part.

Python runs one thread at a time, but NumPy lets others run while it copies, adds or multiplies whole arrays. An op
is little else. BLAS could use the cores itself, but only inside one matrix product, and the chunks of a
convolution are too small to be shared out; so while we use threads, BLAS gets one.
"""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

PART_PRODUCTS = 15 * 10**6  # multiplications that are worth a thread: about 0.3 ms
_pool, _threads = None, 1
_thread = threading.local()  # has the attribute `busy` while this thread works on a part


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

    Within a part there are no further parts: who works on one calls function(whole range).

    Args:
        least: parts have at least so many of the `count`. To start a thread takes some 50 microseconds, and while
            one runs Python the others cannot, so parts that take less than half a millisecond are not worth it.
    """
    parts = min(_threads, count // least)
    if parts < 2 or hasattr(_thread, "busy"):
        return [function(slice(0, count))]
    bounds = [count * i // parts for i in range(parts + 1)]
    first, *others = (slice(start, end) for start, end in itertools.pairwise(bounds))
    coming = [_pool.submit(work, function, part) for part in others]
    return [work(function, first), *(future.result() for future in coming)]


def work(function, part):
    """function(part), in a thread that is busy with it."""
    _thread.busy = True
    try:
        return function(part)
    finally:
        del _thread.busy
