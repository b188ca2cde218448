"""What is printed: no name can command the terminal, and no stream that fails can end the work."""

import contextlib
import os
import re
import sys

# what a terminal obeys, but for tabs, new lines and progress bars' returns: control characters, those of C1; and
# what changes the direction of writing
COMMANDS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text):
    """The text with \\n for a new line and \\x1b for an escape: file names may hold what a terminal would obey."""
    return "".join(map(escaped, text))


def escaped(character):
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class Stream:
    """Standard output or error, made safe. Once a write has failed nothing more is written.

    Attributes:
        failure: the OSError of that write, or None.
    """

    def __init__(self, stream):
        self.stream, self.failure = stream, None
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text):
        safe = COMMANDS.sub(lambda found: escaped(found[0]), text)
        self.attempt(self.stream.write, safe.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self):
        self.attempt(self.stream.flush)

    def attempt(self, do, *arguments):
        """Do what may fail; if it does, what the stream still holds goes nowhere, as all that comes later."""
        try:
            do(*arguments)
        except OSError as error:
            self.failure = self.failure or error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name):
        return getattr(self.stream, name)


@contextlib.contextmanager
def safe_streams():
    """Inside, standard output and error are Streams; yields that of the output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would take its place, here and in our processes
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r+" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
    with contextlib.redirect_stdout(Stream(sys.stdout)) as output, contextlib.redirect_stderr(Stream(sys.stderr)):
        yield output
