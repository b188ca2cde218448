"""What all worker processes of this package have in common.

Ctrl-C reaches every process of a terminal. Workers ignore it; the parent acts, and ends them in good order.
"""

import contextlib
import os
import signal
import threading


def cores():
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_interrupts_to_parent():
    """Called first in a worker: ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
