"""Ctrl-C, SIGTERM (from kill, or a batch system) and SIGHUP (a closed terminal): each ends the work in good order.

Ctrl-C reaches all processes of a terminal, the others may. Workers are deaf to them; the parent acts, ends them.
"""

import contextlib
import signal
import threading

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """An interrupt during training; a checkpoint was written."""


@contextlib.contextmanager
def interrupts_handled_by(handler):
    """Inside, handler(number, frame) is called for each interrupt, but for those that are ignored (nohup).

    Only the main thread may say so, and it is Python's main thread that acts, whichever thread heard it.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        heeded = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, its_handler in before.items():
            signal.signal(number, its_handler)


@contextlib.contextmanager
def stop_at_interrupt():
    """Yield an event that an interrupt sets: a loop can stop between two steps. A second Ctrl-C stops at once."""
    stop = threading.Event()

    def request_stop(number, _):
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with interrupts_handled_by(request_stop):
        yield stop


@contextlib.contextmanager
def deaf_to_interrupts():
    """Processes started in here never hear an interrupt; this one hears it when the block is left.

    A new process inherits which signals are blocked. (There is no such thing on Windows.)
    """
    heard, can_block = [], hasattr(signal, "pthread_sigmask")
    if can_block:
        from multiprocessing import resource_tracker  # here: where there are no processes there is none

        resource_tracker.ensure_running()  # it unblocks them when it starts
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with interrupts_handled_by(lambda number, _: heard.append(number)):
            yield
    finally:
        if can_block:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in heard:
            signal.raise_signal(number)
