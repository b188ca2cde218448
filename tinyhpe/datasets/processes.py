"""What all worker processes of this package have in common.

Ctrl-C reaches every process of a terminal. Workers ignore it; the parent acts, and ends them in good order.
"""

import contextlib
import os
import signal
import sys
import threading

from tinyhpe import blas


def cores():
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def why_a_worker_died():
    """The likely reason, for people. A spawned process reads the main program's file once more, if it has one."""
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program and not os.path.exists(program):  # it is called <stdin>
        return (
            f"it could not read the program once more, since {program} is no file: save the program in a file, "
            "what it does under `if __name__ == '__main__':`"
        )
    return (
        "killed, out of memory, or started by a script without `if __name__ == '__main__':`; see what it said "
        "above, free some memory"
    )


def begin_work():
    """Called first in a worker: ignore Ctrl-C, and use one core.

    Two threads of BLAS in each of two workers would wait for each other more than they compute.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    blas.controller().limit(limits=1)


@contextlib.contextmanager
def deaf_to_interrupts():
    """Workers started in here ignore Ctrl-C already while they import what they need (not on Windows).

    A new process inherits what is ignored. Only the main thread may say so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
