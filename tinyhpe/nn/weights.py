"""Weights on disk: safetensors, never a pickle."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tinyhpe.errors import InputError
from tinyhpe.files import written_by_rename


def save_arrays(path, arrays, description):
    """Write arrays (name -> NumPy array) and a JSON-able description to one safetensors file."""
    content = save(arrays, metadata={"tinyhpe": json.dumps(description)})
    with written_by_rename(path) as temporary:
        temporary.write_bytes(content)


def load_arrays(path):
    """Read a safetensors file.

    Returns:
        (arrays: name -> NumPy array, description: what save_arrays was given, {} in foreign files)

    Raises:
        InputError: the file is missing, truncated, a pickle, not safetensors, or holds bfloat16.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
            description = json.loads((file.metadata() or {}).get("tinyhpe", "{}"))
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror or error}; check the path") from error
    except TypeError as error:
        raise InputError(
            f"cannot read the model {path}: {error} (bfloat16?); save it as float32 or float16 first"
        ) from error
    except (SafetensorError, ValueError) as error:
        if start[:2] in (b"PK", b"\x80\x02", b"\x80\x04"):  # a zip (torch.save) or a bare pickle
            raise InputError(
                f"{path} is a pickle (.pth), which can run any code when loaded, so it is refused; convert "
                "it where you trust it: safetensors.torch.save_file(torch.load(path), 'model.safetensors')"
            ) from error
        raise InputError(f"{path} is not a complete safetensors file ({error}); copy or train it again") from error
    return arrays, description
