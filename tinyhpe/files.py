"""Files appear complete, or not at all; are opened only if they are files; and where they go if nobody says."""

import contextlib
import errno
import functools
import os
import platform
import re
import secrets
import stat
import sys
import tempfile
import time
from pathlib import Path

from tinyhpe.errors import InputError

UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.tmp")


def cache_folder() -> Path:
    """Where rendered heads and the like are kept: the environment variable TINYHPE_CACHE, or ~/.cache/tinyhpe.

    Who has no home, or may not write there (docker run --user 1234), gets a folder among the temporary files.
    """
    if given := os.environ.get("TINYHPE_CACHE"):
        return Path(given)
    with contextlib.suppress(RuntimeError):  # no home
        folder = Path.home() / ".cache" / "tinyhpe"
        if os.access(next(filter(os.path.exists, (folder, *folder.parents))), os.W_OK):
            return folder
    return Path(tempfile.gettempdir()) / "tinyhpe-cache"


def open_file(path, most):
    """Open a file that a user names, to read its bytes: a pipe or a device might never answer.

    Raises:
        OSError: there is none, it is no regular file, or has more than `most` bytes.
    """
    file = open(path, "rb", opener=at_once)  # noqa: SIM115  the caller closes it
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a file, but a pipe or a device", str(path))
        if status.st_size > most:
            text = f"{status.st_size / 1e6:,.0f} MB are more than the {most / 1e6:,.0f} that such a file may have"
            raise OSError(errno.EFBIG, text, str(path))
    except OSError:
        file.close()
        raise
    return file


def at_once(path, flags):
    """An opener that does not wait for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def written_by_rename(path, on_disk=True):
    """Give the block a new file beside `path`, open for its bytes; name it `path` when the block has ended well.

    Nobody can guess its name, and it is locked as long as its writer lives: those of the dead are removed.

    Args:
        on_disk: wait until it is on the disk, 10 to 40 ms. Else a power cut soon after may leave it empty.

    Raises:
        InputError: the folder cannot be written to, or the disk is full; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with said_to_user(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path.parent.absolute())
        try:
            with open(temporary, "xb") as file:
                lock(file)
                yield file
                file.flush()
                if on_disk:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


@functools.cache  # once is enough, and a folder may hold 367,350 files
def remove_unfinished(folder):
    """Remove what processes that were killed have left in a folder. A living one holds the lock of its file."""
    for name in filter(UNFINISHED.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):
            with open_file(folder / name, sys.maxsize) as file:
                is_new = time.time() - os.fstat(file.fileno()).st_mtime < 1  # its writer is about to lock it
                is_left = not is_new and lock(file)
            if is_left:
                os.unlink(folder / name)


def make_folder(folder):
    """Create the folder where results go, before the work starts, and return its Path.

    Raises:
        InputError: it cannot be created, or nothing can be written there.
    """
    folder = Path(folder)
    with said_to_user(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return folder


@contextlib.contextmanager
def said_to_user(path):
    """An OSError of the block becomes an InputError that names the path."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error


@contextlib.contextmanager
def locked(folder, wait=False):
    """Hold a folder for this process alone while the block runs; when the process dies, it is free again.

    Args:
        wait: until another process that holds it lets it go.

    Raises:
        InputError: another process holds it; the message names it. Or nothing can be written there.
    """
    path = Path(folder) / ".lock"
    with said_to_user(path):
        file = open(path, "a+", encoding="utf-8", errors="replace", opener=not_through_links)  # noqa: SIM115
    with file:
        while lock(file) is False:
            file.seek(0)
            holder = file.read(99)
            if not wait:
                raise InputError(
                    f"{folder} is in use by the process {holder}: wait for its end, or choose another"
                )
            if wait != holder:
                print(f"waiting for the process {holder}, which makes the same", file=sys.stderr)
                wait = holder
            time.sleep(0.1)
        file.truncate(0)
        file.write(f"{os.getpid()} on {platform.node()}")
        file.flush()
        yield


def not_through_links(path, flags):
    return at_once(path, flags | getattr(os, "O_NOFOLLOW", 0))


def lock(file):
    """Lock an open file until it is closed: True, or False if another process has; None: nobody can say here."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file.fileno(), 1 << 30, os.SEEK_SET)  # far beyond its content, which others are to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # of Linux and macOS, and of Windows
        return False
    except (ImportError, OSError):  # a Python in a browser, or a file system, without locks
        return None
    return True
