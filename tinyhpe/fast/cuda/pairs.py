"""The ranking loss over all pairs on a GPU, without an (n, n) matrix in its memory."""

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda.launch import THREADS, CudaWay, launch
from tinyhpe.ops.pairs import check_pairs


class CudaPairwiseOrder(CudaWay):
    """A way of PairwiseOrder: the kernel goes through all pairs once, for the loss and for its gradient."""

    def suits(op, xp, scores):
        return CudaWay.suits(op, xp, scores) and np.can_cast(op.levels.dtype, np.int64)

    def forward(op, xp, scores):
        check_pairs(scores, op.levels)
        backend.array_module(scores, op.levels)  # raises if they are on two devices
        n, angles = len(scores), scores.size // len(scores)
        scores, levels = xp.ascontiguousarray(scores), xp.ascontiguousarray(op.levels, np.int64)
        losses, op.gradient = (xp.empty(scores.shape, np.float32) for _ in range(2))
        arrays = scores, levels, losses, op.gradient
        launch("rank_pairs", (-(-n // THREADS), angles), (THREADS,), *arrays, n, angles)
        return losses.sum(axis=0) / np.float32(n * (n - 1))

    def backward(op, xp, g):
        return (g * op.gradient,)
