"""The command `tinyhpe`. It is no part of the package, since it hears Ctrl-C while that is imported, and NumPy."""

import os
import signal


def main():
    """Run the command line; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored, as by nohup
        signal.signal(signal.SIGINT, end)  # no exception: NumPy takes one for a reason not to be imported
    from tinyhpe.cli import main

    return main()


def end(*_):
    """End this process, which has not begun to work, or has done its work."""
    os.write(2, b"tinyhpe: interrupted\n")
    os._exit(130)
