"""How fast is it? Training steps and predictions, ours and torch's in turn, in one process, on equal threads."""

import os
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_info

from tinyhpe import backend, ops, parallel
from tinyhpe.nn import resnet
from tinyhpe.nn.folded import FoldedResNet
from tinyhpe.ops import textbook
from tinyhpe.optim import Adam
from tinyhpe.tensor import Tensor

try:
    from tinyhpe import torch_resnet
except ImportError:
    torch_resnet = None  # then our times stand alone

WARM_UP = 2
OUTPUTS = 3
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings of the environment that choose slower kernels


@dataclass(frozen=True)
class Workload:
    """What is timed: a training step (forward, backward, Adam) or a prediction, of a network on random images."""

    network: str
    batch: int
    size: int  # side of the images in pixels
    training: bool
    stem: str = "7x7"
    textbook: bool = False  # with the plain twins of the fast ops
    seconds: float = 10.0  # how long to measure, for each number of threads


WORKLOADS = {
    "r18n-train": Workload("r18n", 32, 64, True),
    "r18n-3x3stem-train": Workload("r18n", 32, 64, True, stem="3x3", seconds=20),
    "resnet50-train": Workload("resnet50", 8, 224, True, seconds=20),
    "r18n-predict": Workload("r18n", 1, 64, False, seconds=5),
    "resnet50-predict": Workload("resnet50", 1, 224, False),
    "r18n-train-textbook": Workload("r18n", 32, 64, True, textbook=True),
}
PAIRED_IMAGES = (4, 8, 16, 32)


def our_step(workload):
    """Return a function that does the work once with tinyhpe."""
    network = resnet.build(workload.network, OUTPUTS, workload.stem)
    images, targets = example(workload)
    if not workload.training:
        folded = FoldedResNet(network.eval())
        return lambda: folded(images)
    optimizer = Adam(network.parameters())

    def step():
        optimizer.zero_grad()
        ops.mse(network(Tensor(images)), targets).backward()
        optimizer.step()

    return with_textbook_ops(step) if workload.textbook else step


def example(workload):
    """Random images (N, S, S, 3) and targets (N, OUTPUTS)."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(workload.batch, workload.size, workload.size, 3)).astype(np.float32)
    return images, np.zeros((workload.batch, OUTPUTS), np.float32)


def with_textbook_ops(step):
    """The same step on the plain twins: whole-array formulas, differentiated by the tape."""

    def batch_norm(x, gamma, beta, running_mean, running_var, training, residual=None, **settings):
        buffers = {"running_mean": running_mean, "running_var": running_var, "training": training}
        return textbook.batch_norm(x, gamma, beta, residual, **buffers, **settings)

    def textbook_step():
        twins = {"conv2d": textbook.conv2d, "max_pool2d": textbook.max_pool2d, "batch_norm": batch_norm}
        with mock.patch.multiple(ops, **twins):
            step()

    return textbook_step


def steps(workload):
    """The functions to be timed in turn: "ours" and, where torch is installed, its two memory layouts."""
    functions = {"ours": our_step(workload)}
    if torch_resnet:
        for layout in ("torch", "torch_channels_last"):
            functions[layout] = torch_resnet.step(workload, layout == "torch_channels_last", OUTPUTS)
    return functions


def median_times(functions, seconds):
    """Call the functions in turn for some seconds, three times at least; the median of each in milliseconds."""
    for function in [*functions.values()] * WARM_UP:
        function()
    times = {name: [] for name in functions}
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(times["ours"]) < 3:
        for name, function in functions.items():
            before = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - before))
    return {name: statistics.median(values) for name, values in times.items()}


def measure(name, threads):
    """One row of the table."""
    workload = WORKLOADS[name]
    if torch_resnet:
        torch_resnet.set_threads(threads)
    with parallel.threads(threads):
        times = median_times(steps(workload), workload.seconds)
    row = {"workload": name, "threads": threads, "ours_ms": times["ours"]}
    if torch_resnet:
        row["torch_ms"] = times["torch"]
        row["torch_best_ms"] = min(times["torch"], times["torch_channels_last"])
        row["ratio_default"] = row["torch_ms"] / row["ours_ms"]
        row["ratio_best"] = row["torch_best_ms"] / row["ours_ms"]
    if workload.training:
        for side in ("ours", "torch") if torch_resnet else ("ours",):
            row[f"{side}_peak_mb"] = peak_memory(name, side)
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}


def peak_memory(name, side):
    """What training needs at its peak, in MB, beyond the program itself: measured in a process of its own.

    None where the kernel does not tell (outside Linux).
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(peak_of_two_steps, name, side).result()


def peak_of_two_steps(name, side):
    """In a fresh process: the growth of the largest resident memory (MB) over building a network and two steps."""
    if not Path("/proc/self/status").exists():
        return None
    workload = WORKLOADS[name]
    before = resident("VmRSS")
    step = our_step(workload) if side == "ours" else torch_resnet.step(workload, False, OUTPUTS)
    step()
    step()
    return resident("VmHWM") - before


def resident(field):
    """A line of /proc/self/status in MB: VmRSS, the memory of now, or VmHWM, the largest so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024


def measure_pairs(n):
    """The ensemble layer against the standard Siamese network with two branches, on all pairs of n images.

    The ensemble layer runs the backbone once on each image, and pairs the scores. The standard network is given
    batches of n pairs, two backbones each, until all pairs have been seen: n (n - 1) ordered ones, or half of
    them unordered. "law" is the ratio of the backbone passes.
    """
    network = resnet.build("r18n", OUTPUTS)
    optimizer = Adam(network.parameters())
    images, _ = example(Workload("r18n", n, 64, True))
    levels = np.arange(n)
    first, second = np.nonzero(~np.eye(n, dtype=bool))

    def update(loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def ensemble():
        update(ops.pairwise_order_loss(network(Tensor(images))[:, 0], levels))

    def siamese():
        for start in range(0, len(first), n):
            i, j = first[start : start + n], second[start : start + n]
            logits = network(Tensor(images[i]))[:, 0] - network(Tensor(images[j]))[:, 0]
            update(ops.bce_with_logits(logits, (levels[i] > levels[j]).astype(np.float32)))

    with parallel.threads(1):
        times = median_times({"ours": ensemble, "siamese": siamese}, seconds=5)
    ratio = times["siamese"] / times["ours"]
    return {
        "n": n,
        "ensemble_ms": round(times["ours"], 3),
        "siamese_ordered_ms": round(times["siamese"], 3),
        "ratio_ordered": round(ratio, 2),
        "law_ordered": 2 * (n - 1),
        "ratio_unordered": round(ratio / 2, 2),
        "law_unordered": n - 1,
    }


def machine():
    """What the figures were measured on."""
    blas = next((lib for lib in threadpool_info() if lib["user_api"] == "blas"), {})
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas.get('internal_api')} {blas.get('version')}, {blas.get('architecture', 'unknown')} kernels",
        "torch": torch_resnet.version() if torch_resnet else None,
    }


def cpu_name():
    """The CPU's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def clean_environment():
    """Start the program again without the settings that slow NumPy's BLAS down: it reads them when loaded."""
    if any(name in os.environ for name in SLOWING):
        environment = {name: value for name, value in os.environ.items() if name not in SLOWING}
        sys.exit(subprocess.run([sys.executable, "-m", "tinyhpe", *sys.argv[1:]], env=environment).returncode)


def run(names, report):
    """Measure the named workloads, on one thread and on two where there are two cores.

    Args:
        names: of WORKLOADS, or "ensemble".
        report: called with each row as soon as it is there.

    Returns:
        {"machine": {...}, "rows": [...], "ensemble": [...]}
    """
    backend.keep_freed_memory()
    results = {"machine": machine(), "rows": [], "ensemble": []}
    for name in names:
        if name == "ensemble":
            kind, jobs = "ensemble", [(measure_pairs, n) for n in PAIRED_IMAGES]
        else:
            kind, jobs = "rows", [(measure, name, t) for t in (1, 2) if t <= os.cpu_count()]
        for function, *arguments in jobs:
            results[kind].append(function(*arguments))
            report(kind, results[kind][-1])
    return results
