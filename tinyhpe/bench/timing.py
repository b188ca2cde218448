"""Times and memory, and the machine that they were measured on."""

import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np

from tinyhpe import blas

WARM_UP = 2


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


def memory_grown(make_step):
    """The growth of the largest resident memory (MB) of this process, a fresh one, over make_step() and two steps.

    None where the kernel does not tell (outside Linux).
    """
    if not Path("/proc/self/status").exists():
        return None
    before = resident("VmRSS")
    step = make_step()
    step()
    step()
    return resident("VmHWM") - before


def resident(field):
    """A line of /proc/self/status in MB: VmRSS, the memory of now, or VmHWM, the largest so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024


def machine():
    """What the figures were measured on."""
    found = blas.controller().info()
    library = next((library for library in found if "numpy" in library["filepath"]), {})
    kernels = library.get("architecture", "unknown")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{library.get('internal_api')} {library.get('version')}, {kernels} kernels",
    }


def cpu_name():
    """The CPU's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
