"""Weights on disk: safetensors, never a pickle.

Such a file is the length of its header (8 bytes), the header in JSON, and the numbers of all arrays. The header
says of each array its dtype, its shape, where in the numbers it begins and ends; and what save_arrays was told.
"""

import contextlib
import errno
import json
import math
import operator
import os
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save

from tinyhpe.backend import plain_array
from tinyhpe.description import check_form
from tinyhpe.errors import InputError
from tinyhpe.files import open_file, written_by_rename

MOST_BYTES, MOST_HEADER_BYTES, MOST_AXES = 10**10, 8 * 10**6, 8
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "|b1", "C64": "<c8"}
DTYPES |= {f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}


def save_arrays(path, arrays, description):
    """Write arrays (name -> NumPy array) and a JSON-able description to one safetensors file."""
    # safetensors writes the bytes in memory from the first number on: transposed or reversed they would be others
    in_order = {name: np.asarray(plain_array(array), order="C") for name, array in arrays.items()}
    content = save(in_order, metadata={"tinyhpe": json.dumps(description)})
    with written_by_rename(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_arrays(path):
    """Open a safetensors file, so that names and shapes are looked at before any number is read.

    Yields:
        (arrays: name -> StoredArray, description: what save_arrays was given, {} in foreign files)

    Raises:
        InputError: the file is missing, truncated, a pickle, not safetensors, or of numbers that NumPy has not.
    """
    try:
        with open_file(path, MOST_BYTES) as file:
            start = file.read(512)
            try:
                content = read_header(file)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                reason = (
                    foreign_format(start) or f"not a complete safetensors file ({error}); copy or train it again"
                )
                raise InputError(f"{path} is {reason}") from error
            yield content
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror or error}; check the path") from error


def read_header(file):
    """What open_arrays yields; raises whatever a damaged header leads it to."""
    file.seek(0)
    size, begin = os.fstat(file.fileno()).st_size, 8 + int.from_bytes(file.read(8), "little")
    if begin > min(size, MOST_HEADER_BYTES):
        raise ValueError(f"a header of {begin - 8} bytes in a file of {size}")
    header = json.loads(file.read(begin - 8))
    description = json.loads(header.pop("__metadata__", {}).get("tinyhpe", "{}"))
    check_form("its description", description, {})
    arrays = {}
    for name, entry in header.items():
        start, end = map(operator.index, entry["data_offsets"])
        shape = tuple(map(operator.index, entry["shape"][:MOST_AXES]))
        arrays[name] = array = StoredArray(file, begin + start, name, entry["dtype"], shape)
        whole = start >= 0 and begin + end <= size and len(entry["shape"]) == len(shape)
        if not whole or min(shape, default=0) < 0 or array.size not in (None, end - start):
            raise ValueError(f"{name} does not fit")
    return arrays, description


class StoredArray(NamedTuple):
    """An array in an open file: its shape is known, its numbers are read by np.asarray()."""

    file: object
    start: int
    name: str
    type: str
    shape: tuple

    @property
    def size(self):
        """In bytes; None: of a type that NumPy has not."""
        return math.prod(self.shape) * np.dtype(DTYPES[self.type]).itemsize if self.type in DTYPES else None

    def __array__(self, dtype=None, copy=None):
        if self.size is None:
            raise InputError(
                f"cannot read the model {self.file.name}: {self.name} is of {self.type}, and NumPy has neither "
                "bfloat16 nor floats of 8 bits or less; save it as float32 or float16 first"
            )
        self.file.seek(self.start)
        content = self.file.read(self.size)
        if len(content) < self.size:
            raise OSError(errno.EIO, "it was cut while it was read")
        return np.frombuffer(content, DTYPES[self.type]).reshape(self.shape)


def foreign_format(start):
    """What a file is, and what to do, that begins with these bytes and is no safetensors file; None: unknown."""
    zipped = start.startswith(b"PK")
    if start.startswith(b"\x93NUMPY") or (zipped and b".npy" in start):
        return (
            "a file of NumPy's (.npy, .npz); convert it: "
            "safetensors.numpy.save_file(dict(numpy.load(path)), 'model.safetensors')"
        )
    # safetensors begin with 8 bytes, the length of the header, and the header's {
    pickled = start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5") and start[8:9] != b"{"
    if zipped or pickled:  # torch.save writes a zip
        return (
            "a pickle (.pth), which can run any code when loaded, so it is refused; convert it where you trust "
            "it: safetensors.torch.save_file(torch.load(path), 'model.safetensors')"
        )
    return None
