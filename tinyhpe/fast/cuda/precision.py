"""In what precision a GPU multiplies matrices of float32."""

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError

PRECISIONS = ("float32", "tf32", "float16")
OLDEST_WITH_TF32 = 8.0  # compute capability
_chosen = "float32"


def use_precision(name):
    """Multiply float32 matrices on a GPU in another precision, from now on and in the whole process.

    Conv2d and MatMul do so; all else stays float32. The factors are rounded to 11 significant bits instead of
    24, for the GPU's tensor cores, and the products summed in float32.

    Args:
        name: "float32"; "tf32", which keeps the range of float32 (NVIDIA's TF32); or "float16", in which nothing
            is smaller than 6e-8 or larger than 65504, so that training needs its losses scaled (step.py).

    Raises:
        InputError: the name is unknown, there is no usable GPU, or it is too old for TF32.
    """
    global _chosen
    if name not in PRECISIONS:
        raise InputError(f"unknown precision {name!r}: use one of {', '.join(PRECISIONS)}")
    capability = backend.compute_capability(backend.device_module("cuda"))
    if name == "tf32" and capability < OLDEST_WITH_TF32:
        raise InputError(
            f"TF32 needs a GPU of compute capability {OLDEST_WITH_TF32} (A100, RTX 30) or newer, this one is of "
            f"{capability}; use the precision float32"
        )
    _chosen = name


def precision():
    """What use_precision() was told last."""
    return _chosen


def factor_dtype():
    """The dtype of the matrices that are multiplied."""
    return np.float16 if _chosen == "float16" else np.float32
