"""How fast is it? Training steps and predictions, ours and torch's in turn, in one process, on equal threads."""

import functools
import os
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from tinyhpe import backend, ops, parallel
from tinyhpe.bench import cuda
from tinyhpe.bench.ideas import IDEAS, with_undone
from tinyhpe.bench.workloads import OUTPUTS, WORKLOADS, Workload, beside_torch, example, our_step
from tinyhpe.datasets import rendered
from tinyhpe.datasets.crops import crop_size
from tinyhpe.datasets.loader import Loader, images_per_second
from tinyhpe.nn import resnet
from tinyhpe.optim import Adam
from tinyhpe.tensor import Tensor
from tinyhpe.train.memory import keep_freed_memory

try:
    from tinyhpe.bench import torch_resnet
except ImportError:
    torch_resnet = None  # then our times stand alone

WARM_UP = 2
PAIRED_IMAGES = (4, 8, 16, 32)
LOADER_HEADS, LOADER_INPUT = 200, 48  # images, and their side in pixels
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings of the environment that choose slower kernels


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
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < seconds or rounds < 3:
        rounds += 1
        for name, function in functions.items():
            before = time.perf_counter()
            function()
            times[name].append(1000 * (time.perf_counter() - before))
    return {name: statistics.median(values) for name, values in times.items()}


def measure(name, threads):
    """One row of the table; None where there is nothing to measure."""
    workload = WORKLOADS[name]
    if torch_resnet:
        torch_resnet.torch.set_num_threads(threads)
    with parallel.threads(threads):
        times = median_times(steps(workload), workload.seconds)
    return {
        "workload": name,
        "threads": threads,
        **beside_torch(*(times.get(side) for side in ("ours", "torch", "torch_channels_last"))),
        "ours_peak_mb": peak_memory(name, "ours") if workload.training else None,
        "torch_peak_mb": peak_memory(name, "torch") if workload.training and torch_resnet else None,
    }


@functools.cache
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


def measure_loader():
    """How many images a second the loader prepares: read and augmented; with 0 to 2 worker processes."""
    heads = rendered.load(LOADER_HEADS, crop_size(LOADER_INPUT))
    loader = Loader(heads, LOADER_INPUT, batch_size=32, balanced=True, seed=0)
    return [{"workers": workers, "images_per_s": images_per_second(loader, workers)} for workers in (0, 1, 2)]


def measure_ideas():
    """A training step of r18n with each idea of the fast ops undone: rows of (what, ms, times as slow)."""
    step = our_step(WORKLOADS["r18n-train"])
    with parallel.threads(1):
        times = median_times({name: with_undone(name, step) for name in IDEAS}, seconds=40)
    return [{"undone": name, "ours_ms": ms, "factor": ms / times["nothing"]} for name, ms in times.items()]


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
        "ensemble_ms": times["ours"],
        "siamese_ordered_ms": times["siamese"],
        "ratio_ordered": ratio,
        "law_ordered": 2 * (n - 1),
        "ratio_unordered": ratio / 2,
        "law_unordered": n - 1,
    }


def machine():
    """What the figures were measured on."""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    blas = next((library for library in found if "numpy" in library["filepath"]), found[0] if found else {})
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas.get('internal_api')} {blas.get('version')}, {blas.get('architecture', 'unknown')} kernels",
        "torch": torch_resnet.torch.__version__ if torch_resnet else None,
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


def measure_all_pairs():
    """measure_pairs() for batches of 4 to 32 images."""
    return [measure_pairs(n) for n in PAIRED_IMAGES]


TABLES = {"ensemble": measure_all_pairs, "loader": measure_loader, "ideas": measure_ideas}  # beside the workloads


def printer(stream):
    """A `report` for run() that prints each row as a line, under a heading where another table begins."""
    heading = []

    def cells(values):
        first, *others = ("-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)
        return f"{first:<51}" + "".join(f"{other:>16}" for other in others)

    def report(row):
        if heading != list(row):
            heading[:] = row
            print(f"\n{cells(row)}", file=stream)
        print(cells(row.values()), file=stream, flush=True)

    return report


def run_on_gpu(names, report):
    """The benchmark of bench.cuda, with the machine; arguments as for run()."""
    torch = torch_resnet if torch_resnet and torch_resnet.torch.cuda.is_available() else None
    return {"machine": machine(), **cuda.run(torch, names, report)}


def run(names, report):
    """Measure by name: of WORKLOADS on one thread and, where there are two cores, on two; or one of TABLES.

    Args:
        report: called with each row as soon as it is there.

    Returns:
        {"machine": {...}, "rows": [...], "ensemble": [...], "loader": [...], "ideas": [...]}
    """
    keep_freed_memory()
    results = {"machine": machine(), "rows": [], **{name: [] for name in TABLES}}
    for name in names:
        if name in TABLES:
            kind, measured = name, TABLES[name]()
        else:
            kind, measured = "rows", (measure(name, threads) for threads in (1, 2) if threads <= os.cpu_count())
        for row in measured:
            results[kind].append(row)
            report(row)
    return results
