"""BLAS, the library behind NumPy's matrix products, held to one thread.

Its threads wait for each other in a loop. If another program takes one of the cores, all wait for the one that is
late: beside one busy program, 186 photos took 2.4 to 20 seconds on two threads, and 0.9 on one.
"""

import contextlib
import functools
import threading

_taken = threading.Lock()  # held by the one thread of Python that has set the number and will put it back


@functools.cache
def controller():
    """The BLAS libraries of this process, found once: to look for them takes a millisecond.

    Raises:
        ImportError: this Python cannot ask them: it has no ctypes, as may be in a browser.
    """
    from threadpoolctl import ThreadpoolController  # here, since `import tinyhpe` needs NumPy alone

    return ThreadpoolController().select(user_api="blas")


@contextlib.contextmanager
def one_blas_thread():
    """Inside this context BLAS uses one thread; to come and go takes some microseconds.

    The number belongs to the whole process. Who comes while somebody else is inside leaves it as it is: if all put
    back what they found, the last one would put back 1.
    """
    if not _taken.acquire(blocking=False):
        yield
        return
    with contextlib.ExitStack() as held:
        held.callback(_taken.release)
        with contextlib.suppress(ImportError):
            held.enter_context(controller().limit(limits=1))
        yield
