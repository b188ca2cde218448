"""tinyhpe: deep learning for head pose, from nothing."""

import importlib.util
import os

from tinyhpe import nn, ops, optim
from tinyhpe.gradcheck import gradcheck
from tinyhpe.tensor import Tensor, no_grad
from tinyhpe.ways import plain

if not os.environ.get("TINYHPE_PLAIN") and importlib.util.find_spec("tinyhpe.fast"):
    from tinyhpe import fast
