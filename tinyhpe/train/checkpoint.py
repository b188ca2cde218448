"""What a run leaves on disk so that it can go on, and weights that a run starts from."""

import contextlib
from dataclasses import asdict
from pathlib import Path

from tinyhpe.description import check_form
from tinyhpe.errors import InputError
from tinyhpe.train.settings import Settings
from tinyhpe.weight_files import open_arrays, save_arrays

CHECKPOINT, VERSION = "checkpoint.safetensors", 2


def write_checkpoint(out, settings, state, arrays):
    """Write a checkpoint into the folder `out`.

    Args:
        state: JSON-able, how far the run is.
        arrays: of the parts of the run, such as its model: {part: {name: NumPy array}}.
    """
    flat = {f"{part}/{name}": array for part, held in arrays.items() for name, array in held.items()}
    description = {"version": VERSION, "settings": asdict(settings), "state": state}
    save_arrays(Path(out) / CHECKPOINT, flat, description)


@contextlib.contextmanager
def open_checkpoint(out):
    """Open the checkpoint in a folder; yield what write_checkpoint() was given: settings, state, arrays.

    Raises:
        InputError: there is none, or it is damaged or of another version.
    """
    path = Path(out) / CHECKPOINT
    with open_arrays(path) as (flat, description):
        if description.get("version") != VERSION:
            raise InputError(f"{path} is not a checkpoint of this version of tinyhpe; start a new run")
        try:
            check_form("the description", description, {"settings": asdict(Settings()), "state": {}})
            settings = Settings(**description["settings"])
        except (InputError, TypeError) as error:
            raise InputError(f"{path}: {error}; start a new run") from error
        arrays = {}
        for name, array in flat.items():
            part, _, own_name = name.partition("/")
            arrays.setdefault(part, {})[own_name] = array
        yield settings, description["state"], arrays


def read_settings(out):
    """The settings of the run whose checkpoint lies in the folder `out`."""
    with open_checkpoint(out) as (settings, _, _):
        return settings


def start_from(model, path):
    """Load weights into a method's network, but for the last layer where its shape is another one.

    Args:
        path: a safetensors file that `tinyhpe train` wrote, or of a published ResNet with torchvision's names.

    Raises:
        InputError: it cannot be read, or holds another architecture.
    """
    with open_arrays(path) as (arrays, _):
        prefix = "backbone."  # in a file of ours
        ours = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        left_out = model.backbone.load_state_dict(ours or arrays, strict=False)
    if wrong := [name for name in left_out if not name.startswith("fc.")]:
        raise InputError(
            f"{path} holds another network: {len(wrong)} arrays do not fit ({wrong[0]}); choose --net and --stem "
            "as it was trained"
        )
