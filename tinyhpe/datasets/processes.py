"""Worker processes, of the loader and the renderer alike: how they start, work, and end.

They are spawned, not forked: a fork of a process with threads (as BLAS has) can hang. So a script that makes some
needs the usual `if __name__ == "__main__":`; without it they die, and InputError says so.

Ctrl-C reaches every process of a terminal, a SIGTERM perhaps. Workers are deaf to both; the parent acts, and ends
them. To do that it closes a pipe, on which a thread of each worker waits: so they also end when it is killed.

Where none can be started, as in a browser, this process does the work itself.
"""

import _thread
import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque

from tinyhpe import blas
from tinyhpe.errors import InputError
from tinyhpe.interrupts import deaf_to_interrupts

SECONDS_TO_END = 1.0  # in which a worker puts its files in order


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


class Worker:
    """A process that answers orders, seen from the parent.

    Args:
        given: what each order begins with, such as memory that the processes share.
    """

    def __init__(self, *given):
        spawn = multiprocessing.get_context("spawn")
        self.pipe, its_pipe = spawn.Pipe()
        its_life, self.life = spawn.Pipe(duplex=False)
        ends = its_pipe, its_life
        self.process = spawn.Process(target=serve, args=(*ends, *given), daemon=True)
        self.process.start()
        for end in ends:  # now the worker alone has them: when one end is closed, the other one hears of it
            end.close()

    def tell(self, message):
        """Send a function, once, and then the orders: tuples of further arguments for it."""
        with contextlib.suppress(OSError):  # the worker has died: answer() says so
            self.pipe.send(message)

    def answer(self):
        """Wait for what the function returned for the oldest order, or raise what went wrong."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            raise InputError(f"a worker process died: {why_a_worker_died()}; then go on") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def dismiss(self):
        """Tell it to end, whether it is at work or waits for an order."""
        self.life.close()
        self.pipe.close()

    def end(self):
        """Wait for its end, once it is dismissed; not for long."""
        self.process.join(SECONDS_TO_END)
        self.process.kill()
        self.process.join()


class Substitute:
    """Works in this process, when it is asked for an answer: for a worker that cannot be started."""

    def __init__(self, work):
        self.work, self.orders = work, deque()

    def tell(self, order):
        self.orders.append(order)

    def answer(self):
        return self.work(*self.orders.popleft())


def shared_memory(size):
    """So many bytes that workers see, too. They have no name: the last process's end frees them."""
    try:
        import ctypes  # here: where there are no processes there may be none

        return multiprocessing.get_context("spawn").RawArray(ctypes.c_uint8, size)
    except (ImportError, OSError):
        return memoryview(bytearray(size))  # which no worker could be sent


@contextlib.contextmanager
def workers(count, function, *given):
    """Give the block a list of workers that call function(*given, *order); end them when it is left, at once.

    There are as many as could be started, up to `count`, or a Substitute.
    """
    crew = []
    try:
        with contextlib.suppress(ImportError, OSError):
            for _ in range(count):
                with deaf_to_interrupts():
                    crew.append(Worker(*given))
        for worker in crew:  # here, since one that has just started takes a while to listen
            worker.tell(function)
        yield crew or [Substitute(functools.partial(function, *given))]
    finally:
        for worker in crew:
            worker.dismiss()
        for worker in crew:
            worker.end()


def answers(crew, orders, most):
    """Give the workers orders in turn, `most` of them under way at a time, and yield their answers in order."""
    coming = deque()
    for number, order in enumerate(orders):
        if len(coming) == most:
            yield coming.popleft().answer()
        worker = crew[number % len(crew)]
        worker.tell(order)
        coming.append(worker)
    while coming:
        yield coming.popleft().answer()


def serve(pipe, life, *given):
    """What a worker does, until its parent closes the other end of `life`, or ends."""
    signal.signal(signal.SIGTERM, end_once)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=[life], daemon=True).start()
    blas.controller().limit(limits=1)  # two threads in each of two workers would wait more than they compute
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        function = pipe.recv()
        while True:
            order = pipe.recv()
            try:
                answer = function(*given, *order)
            except (InputError, MemoryError) as error:
                answer = error
            pipe.send(answer)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway, and cleans up what others have imported


def end_once(number, _):
    """End this process, in good order; who ends already does not hear it again."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit()


def end_with(life):
    """Wait for the parent to close its end of a pipe, and interrupt what this process is at."""
    with contextlib.suppress(EOFError, OSError):
        life.recv()
    _thread.interrupt_main(signal.SIGTERM)
