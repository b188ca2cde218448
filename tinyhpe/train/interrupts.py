"""Ctrl-C during training: the step is finished, a checkpoint is written."""

import contextlib
import signal
import threading


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training; a checkpoint was written."""


@contextlib.contextmanager
def stop_at_ctrl_c():
    """Yield an event that Ctrl-C sets, so that the loop stops between two steps. A second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request_stop(*_):
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, request_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
