"""The benchmark on a GPU: training steps beside torch's, and how much of the card they use.

A step is bound by one of three things: the card's arithmetic, its memory, or the launches of its kernels. The
ceilings of the first two are measured with a large matrix product and a large copy. A step that is far below both
waits for launches.
"""

import dataclasses

import numpy as np

from tinyhpe import backend, methods
from tinyhpe.bench import torch_resnet
from tinyhpe.bench.timing import machine
from tinyhpe.bench.workloads import WORKLOADS, example, our_step
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.fast.cuda.linalg import product
from tinyhpe.fast.cuda.precision import factor_dtype, precision
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.linalg import MatMul
from tinyhpe.tensor import Tensor, backward_order

TRAINED = ("r18n-train", "r18n-3x3stem-train", "resnet50-train")
BATCHES = (64, 256)
WARM_UP, STEPS = 5, 20
GEMM_SIDE, COPY_VALUES = 8192, 1 << 28


def run(names, report):
    """Measure training workloads at both batch sizes, in the precision of fast/cuda/precision.py.

    Args:
        names: of TRAINED.
        report: called with each row as soon as it is there.

    Returns:
        {"machine": {...}, "gpu": {...}, "rows": [...]}
    """
    cupy = backend.device_module("cuda")
    gpu = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    results = {"machine": machine(), "gpu": {"name": gpu, **ceilings(cupy)}, "rows": []}
    for name in names:
        for batch in BATCHES:
            row = measure(cupy, name, batch, results["gpu"])
            results["rows"].append(row)
            report(row)
    return results


def ceilings(cupy):
    """The most that this card does: GFLOP/s of a large matrix product, GB/s of a large copy."""
    a = cupy.ones((GEMM_SIDE, GEMM_SIDE), factor_dtype())
    out = cupy.empty(a.shape, np.float32)
    source = cupy.ones(COPY_VALUES, np.float32)
    target = cupy.empty_like(source)
    clock = cupy.cuda.Event, cupy.cuda.get_elapsed_time
    gemm = milliseconds(lambda: product(a, a, out), *clock)
    copy = milliseconds(lambda: cupy.copyto(target, source), *clock)
    return {"gemm_gflops": 2 * GEMM_SIDE**3 / gemm / 1e6, "copy_gbytes": 2 * source.nbytes / copy / 1e6}


def measure(cupy, name, batch, ceiling):
    """One row of the table; torch's columns are None where it is not installed or sees no GPU."""
    workload = dataclasses.replace(WORKLOADS[name], batch=batch)
    ours = milliseconds(our_step(workload, "cuda", precision()), cupy.cuda.Event, cupy.cuda.get_elapsed_time)
    cupy.get_default_memory_pool().free_all_blocks()  # torch has a pool of its own
    default = best = None
    if torch_resnet and torch_resnet.torch.cuda.is_available():
        batch_of_torch, where = example(workload, batch), ("cuda", precision())
        steps = [torch_resnet.step(workload, *batch_of_torch, last, *where) for last in (False, True)]
        default, other = (milliseconds(step, *torch_resnet.CLOCK) for step in steps)
        best = min(default, other)
    flops, bytes_moved = (batch * amount for amount in cost_of_one_image(workload))
    return {
        "workload": name,
        "batch": batch,
        "ours_ms": ours,
        "torch_ms": default,
        "torch_best_ms": best,
        "ratio_default": default and default / ours,
        "ratio_best": best and best / ours,
        "gflops": flops / ours / 1e6,
        "gflops_share": flops / ours / 1e6 / ceiling["gemm_gflops"],
        "gbytes": bytes_moved / ours / 1e6,
        "gbytes_share": bytes_moved / ours / 1e6 / ceiling["copy_gbytes"],
    }


def milliseconds(function, new_event, elapsed):
    """The time of one call on the GPU, by its own clock: the median over STEPS calls, after WARM_UP others.

    Args:
        new_event: returns an event of the library that `function` uses.
        elapsed: of two recorded events, the milliseconds between them.
    """
    for _ in range(WARM_UP):
        function()
    events = [(new_event(), new_event()) for _ in range(STEPS)]
    for before, after in events:
        before.record()
        function()
        after.record()
    events[-1][1].synchronize()
    return float(np.median([elapsed(*pair) for pair in events]))


def cost_of_one_image(workload):
    """What a training step must do for an image, at the least: (floating-point operations, bytes moved).

    Counted over the graph: two operations for each multiplication in a matrix product or convolution; each op
    reads its inputs and writes its output. Backward does both twice, for the gradients of inputs and weights.
    """
    model = methods.build("direct", workload.network, workload.stem, workload.size)
    images, poses = example(workload, 2)
    losses = model.loss("training", Tensor(unvaried(images, workload.size)), poses)
    flops = moved = 0
    for tensor in backward_order(losses):
        if tensor.op is None:
            continue
        inputs = [source.data for source in tensor.op.inputs]
        moved += tensor.data.nbytes + sum(array.nbytes for array in inputs)
        if isinstance(tensor.op, (Conv2d, MatMul)):  # an output value sums a product for each row of the matrix
            flops += 2 * tensor.size * inputs[1].size // inputs[1].shape[-1]
    return 3 * flops / len(images), 3 * moved / len(images)
