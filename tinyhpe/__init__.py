"""tinyhpe: deep learning for head pose, from nothing."""

from tinyhpe import fast, ops
from tinyhpe.tensor import Tensor, no_grad

__all__ = ["Tensor", "no_grad", "ops"]
