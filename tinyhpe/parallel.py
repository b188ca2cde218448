"""Several cores: an op's work cut into parts, a thread for each part. Mostly parts of the batch, images.

Python runs one thread at a time, but NumPy lets others run while it copies, adds or multiplies whole arrays. An op
is little else. BLAS could use the cores itself, but only inside one matrix product, and ours are cut into blocks
too small to be shared out; so while we use threads, BLAS gets one.
"""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor, wait

from tinyhpe.blas import one_blas_thread

PART_PRODUCTS = 15 * 10**6  # multiplications that are worth a thread: about 0.3 ms
_pool, _threads = None, 1
_thread = threading.local()  # has the attribute `busy` while this thread works on a part


@contextlib.contextmanager
def threads(count):
    """Inside this context, ops use `count` threads (the caller's among them), and BLAS one in each."""
    global _pool, _threads
    before = _pool, _threads
    with ThreadPoolExecutor(max(1, count - 1)) as pool, one_blas_thread():
        _pool, _threads = pool, count
        try:
            yield
        finally:
            _pool, _threads = before


def over_parts(function, count, least=1):
    """Call function(part) with slices that together cover range(count), side by side, and list the results.

    Where there are several parts, who works on one makes no further parts: that would be more than there are
    threads.

    Args:
        least: parts have at least so many of the `count`. To start a thread takes some 50 microseconds, and while
            one runs Python the others cannot, so parts that take less than 0.3 milliseconds are not worth it.
    """
    parts = min(_threads, count // least)
    if parts < 2 or hasattr(_thread, "busy"):
        return [function(slice(0, count))]
    bounds = [count * i // parts for i in range(parts + 1)]
    first, *others = (slice(start, end) for start, end in itertools.pairwise(bounds))
    coming = [_pool.submit(work, function, part) for part in others]
    try:
        result = work(function, first)
    finally:
        wait(coming)  # after an error, too: nobody may go on writing
    return [result, *(future.result() for future in coming)]


def least_part(products):
    """over_parts' `least` where each of the count takes so many multiplications, in a matrix product."""
    return -(-PART_PRODUCTS // max(1, products))


def work(function, part):
    """function(part), in a thread that is busy with it."""
    _thread.busy = True
    try:
        return function(part)
    finally:
        del _thread.busy
