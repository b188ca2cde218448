"""tinyhpe: deep learning for head pose, from nothing."""

import importlib
import os

from tinyhpe import graph, nn, ops, optim
from tinyhpe.gradcheck import gradcheck
from tinyhpe.tensor import Tensor, no_grad
from tinyhpe.ways import plain

if os.environ.get("TINYHPE_PLAIN", "0") in ("", "0") and os.path.exists(os.path.join(__path__[0], "fast")):
    from tinyhpe import fast

__version__ = "0.1.0"
LATER = {  # they need more than NumPy
    "load_model": "methods",
    "predict": "prediction",
    "predict_heads": "prediction",
    "evaluate": "evaluation",
}
__all__ = ["Tensor", "gradcheck", "nn", "no_grad", "ops", "optim", "plain", *LATER]


def __getattr__(name):
    """The functions in LATER: their modules are imported when they are first asked for."""
    if name not in LATER:
        raise AttributeError(f"module 'tinyhpe' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tinyhpe.{LATER[name]}"), name)


def __dir__():
    return sorted({*globals(), *LATER} - {"LATER", "importlib", "os"})
