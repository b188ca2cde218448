"""Files appear complete, or not at all."""

import contextlib
import os
from pathlib import Path

from tinyhpe.errors import InputError


@contextlib.contextmanager
def written_by_rename(path):
    """Give the block a temporary path beside `path`; rename it when the block has ended well.

    Raises:
        InputError: the folder cannot be written to, or the disk is full; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
