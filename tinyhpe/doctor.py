"""What this machine can do for tinyhpe, and why not."""

import os
import platform
import shutil

import numpy as np

import tinyhpe
from tinyhpe import backend, blas, methods
from tinyhpe.errors import InputError
from tinyhpe.files import cache_folder

CHANGE_THE_SPEED = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def report():
    """Yield the lines of `tinyhpe doctor`; whatever is wrong is said in its line, nothing is raised."""
    for name, describe in QUESTIONS.items():
        try:
            answers = list(describe())
        except Exception as error:  # a broken driver, no home folder: to tell of that is what this is for
            answers = [f"unknown: {error}"]
        yield from (f"{name:9} {answer}" for answer in answers)


def describe_blas():
    """Each BLAS that NumPy and others have loaded, with the kernels that it chose for this processor."""
    for library in blas.controller().info():
        yield f"{library['internal_api']} {library['version']}, {library.get('architecture', 'unknown')} kernels"


def describe_cores():
    yield os.cpu_count()
    for variable in CHANGE_THE_SPEED:
        if variable in os.environ:
            yield f"{variable}={os.environ[variable]} is set, which changes the speed"


def describe_gpu():
    """What works, or why not."""
    cupy, reason = backend.probe_cuda()
    if cupy is None:
        return [f"no: {reason}"]
    from tinyhpe.fast.cuda import cublas, launch

    try:
        launch.module()
        cublas.cublas()
    except InputError as error:
        return [f"works for CuPy, but not for us: {error}"]
    return [f"works, compute capability {backend.compute_capability(cupy)}"]


QUESTIONS = {
    "tinyhpe": lambda: [tinyhpe.__version__],
    "python": lambda: [f"{platform.python_version()} on {platform.platform()}"],
    "numpy": lambda: [np.__version__],
    "blas": describe_blas,
    "cores": describe_cores,
    "gpu": describe_gpu,
    "kernels": lambda: ["can be tested without a GPU" if shutil.which("g++") else "no g++: cannot be tested here"],
    "cache": lambda: [cache_folder()],
    "weights": lambda: [methods.SHIPPED_WEIGHTS if methods.SHIPPED_WEIGHTS.exists() else "none are shipped"],
}
