"""Files appear complete, or not at all; and where they go if nobody says."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from tinyhpe.errors import InputError


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


@contextlib.contextmanager
def written_by_rename(path):
    """Give the block a temporary path beside `path`; rename it when the block has ended well.

    Raises:
        InputError: the folder cannot be written to, or the disk is full; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp{path.suffix}")  # nobody else's, nobody can guess it
    with said_to_user(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


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
def locked(folder):
    """Hold a folder for this process alone while the block runs; when the process dies, it is free again.

    Raises:
        InputError: another process holds it; the message names it.
    """
    with open(Path(folder) / ".lock", "a+") as file:
        try:
            lock(file)
        except (BlockingIOError, PermissionError):  # of Linux and macOS, and of Windows
            file.seek(0)
            raise InputError(
                f"{folder} is in use by the process {file.read()}: wait for its end, or choose another folder"
            ) from None
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def lock(file):
    """Lock an open file until it is closed; raises an OSError if another process has done so."""
    if os.name == "nt":
        import msvcrt

        os.lseek(file.fileno(), 1 << 30, os.SEEK_SET)  # far beyond its content, which others are to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
