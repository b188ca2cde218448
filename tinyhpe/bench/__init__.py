"""How fast is it? Training steps and predictions, ours and torch's in turn, in one process.

We compute on one thread, as `tinyhpe train` and `predict` do. torch is timed on one thread and on all cores.
"""

import functools
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tinyhpe.bench.tables import TABLES
from tinyhpe.bench.timing import machine, median_times, memory_grown
from tinyhpe.bench.workloads import WORKLOADS, example, our_step
from tinyhpe.blas import one_blas_thread
from tinyhpe.train.memory import keep_freed_memory

try:
    from tinyhpe.bench import torch_resnet
except ImportError:
    torch_resnet = None  # then our times stand alone

SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings of the environment that choose slower kernels


def torch_step(name, channels_last):
    """The work of WORKLOADS[name] in torch."""
    workload = WORKLOADS[name]
    return torch_resnet.step(workload, *example(workload, workload.batch), channels_last)


def torch_on(threads, step):
    """The same step of torch on this number of threads."""

    def run():
        torch_resnet.torch.set_num_threads(threads)
        step()

    return run


def measure(name):
    """One row of the table; None where there is nothing to measure. "best" is the better of torch's layouts."""
    workload, functions = WORKLOADS[name], {"ours": our_step(WORKLOADS[name])}
    if torch_resnet:
        for layout, last in ("default", False), ("other", True):
            step = torch_step(name, last)
            functions |= {(layout, threads): torch_on(threads, step) for threads in (1, os.cpu_count())}
    times = median_times(functions, workload.seconds)
    ours, default = times["ours"], times.get(("default", 1))
    best = torch_resnet and min(times["default", 1], times["other", 1])
    all_cores = torch_resnet and min(times["default", os.cpu_count()], times["other", os.cpu_count()])
    memory = functools.partial(peak_memory, name) if workload.training else lambda side: None
    return {
        "workload": name,
        "ours_ms": ours,
        "torch_ms": default,
        "torch_best_ms": best,
        "torch_all_cores_ms": all_cores,
        "ratio_default": default and default / ours,
        "ratio_best": best and best / ours,
        "ratio_all_cores": all_cores and all_cores / ours,
        "ours_peak_mb": memory("ours"),
        "torch_peak_mb": memory("torch") if torch_resnet else None,
    }


def peak_memory(name, side):
    """What training needs at its peak, in MB, beyond the program itself: measured in a process of its own."""
    make_step = functools.partial(our_step, WORKLOADS[name])
    if side == "torch":
        make_step = functools.partial(torch_step, name, False)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(memory_grown, make_step).result()


def clean_environment():
    """Start the program again without the settings that slow NumPy's BLAS down: it reads them when loaded."""
    if any(name in os.environ for name in SLOWING):
        environment = {name: value for name, value in os.environ.items() if name not in SLOWING}
        sys.exit(subprocess.run([sys.executable, "-m", "tinyhpe", *sys.argv[1:]], env=environment).returncode)


def printer(stream):
    """A `report` for run() that prints each row as a line, under a heading where another table begins."""
    heading = []

    def cells(values):
        first, *others = ("-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)
        return f"{first:<22}" + "".join(f"{other:>20}" for other in others)

    def report(row):
        if heading != list(row):
            heading[:] = row
            print(f"\n{cells(row)}", file=stream)
        print(cells(row.values()), file=stream, flush=True)

    return report


def run(names, report):
    """Measure by name, of WORKLOADS or TABLES.

    Args:
        report: called with each row as soon as it is there.

    Returns:
        {"machine": {...}, "rows": [...], "ways": [...], "ensemble": [...], "loader": [...]}
    """
    keep_freed_memory()
    torch_version = torch_resnet and torch_resnet.torch.__version__
    results = {"machine": {**machine(), "torch": torch_version}, "rows": [], **{name: [] for name in TABLES}}
    with one_blas_thread():
        for name in names:
            kind, rows = (name, TABLES[name]()) if name in TABLES else ("rows", [measure(name)])
            for row in rows:
                results[kind].append(row)
                report(row)
    return results
