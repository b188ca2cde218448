"""Weights on disk: safetensors, never a pickle."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tinyhpe.backend import plain_array
from tinyhpe.errors import InputError
from tinyhpe.files import written_by_rename


def save_arrays(path, arrays, description):
    """Write arrays (name -> NumPy array) and a JSON-able description to one safetensors file."""
    # safetensors writes the bytes in memory from the first number on: transposed or reversed they would be others
    in_order = {name: np.asarray(plain_array(array), order="C") for name, array in arrays.items()}
    content = save(in_order, metadata={"tinyhpe": json.dumps(description)})
    with written_by_rename(path) as temporary:
        temporary.write_bytes(content)


def load_arrays(path):
    """Read a safetensors file.

    Returns:
        (arrays: name -> NumPy array, description: what save_arrays was given, {} in foreign files)

    Raises:
        InputError: the file is missing, truncated, a pickle, not safetensors, or of numbers that NumPy has not.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read the model {path}: not a file; give a .safetensors file")
        with path.open("rb") as file:
            start = file.read(512)
        with safe_open(path, framework="numpy") as file:
            arrays = {name: read_array(path, file, name) for name in file.keys()}  # noqa: SIM118  not a dict
            description = json.loads((file.metadata() or {}).get("tinyhpe", "{}"))
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror or error}; check the path") from error
    except (SafetensorError, json.JSONDecodeError, RecursionError) as error:
        reason = foreign_format(start) or f"not a complete safetensors file ({error}); copy or train it again"
        raise InputError(f"{path} is {reason}") from error
    return arrays, description


def read_array(path, file, name):
    """One array of a file that safe_open has opened, or InputError."""
    try:
        return file.get_tensor(name)
    except (TypeError, AttributeError, KeyError, SafetensorError) as error:
        raise InputError(
            f"cannot read the model {path}: {name} is of {file.get_slice(name).get_dtype()}, and NumPy has "
            "neither bfloat16 nor floats of 8 bits or less; save it as float32 or float16 first"
        ) from error


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
