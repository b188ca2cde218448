"""Whose array is this: NumPy or CuPy? And is there a GPU that really works?

CuPy is imported here and nowhere else, and only when somebody asks for it.
"""

import functools
import sys

import numpy as np

from tinyhpe.errors import InputError

CUPY_PACKAGES = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
OLDEST_GPU = 7.5  # compute capability

NUMBERS = "biufc"  # kinds of dtypes


def array_module(*arrays):
    """Return the module (`numpy` or `cupy`) that all the arrays belong to.

    Raises:
        TypeError: some arrays live on the CPU and others on the GPU.
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return np
    on_gpu = {isinstance(array, cupy.ndarray) for array in arrays}
    if on_gpu == {True, False}:
        raise TypeError(
            "arrays on two devices met in one operation: some are NumPy (CPU), some are CuPy (GPU); "
            "move them to one place first, with tensor.to('cpu') or tensor.to('cuda')"
        )
    return cupy if on_gpu == {True} else np


def plain_array(data, dtype=np.float32):
    """Return data as a plain array of numbers: no subclass, in the machine's byte order, never copied for nothing.

    Args:
        data: a NumPy or CuPy array, or anything that numpy.asarray takes.
        dtype: of what has none: Python's numbers and lists of them.

    Raises:
        TypeError: a masked array, or no numbers.
    """
    if type(data) is np.ndarray and data.dtype.isbuiltin == 1 and data.dtype.kind in NUMBERS:
        return data
    if array_module(data) is not np:
        return data
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: choose the values yourself, with array.filled(value)")
    array = np.asarray(data)
    if array.dtype.kind not in NUMBERS:
        raise TypeError(
            f"{type(data).__name__} of {array.dtype} holds no numbers: convert it, array.astype('float32')"
        )
    wanted = array.dtype.newbyteorder("=") if hasattr(data, "dtype") else dtype
    return array.astype(wanted, casting="same_kind", copy=False)  # so 1j is refused, not cut to 0


def array_like(value, array):
    """Return Python's numbers as an array of the dtype and on the device of `array`."""
    dtype = array.dtype if array.dtype.kind in "fc" else np.asarray(value).dtype  # 0.5 is not cut to an integer
    xp = array_module(array)
    return plain_array(value, dtype) if xp is np else xp.full((), value, dtype)  # full: no copy to the GPU


def owner(value):
    """Return the id of the array that `value` is a view of; of a list its own; None of what cannot change."""
    base = getattr(value, "base", None)
    return id(value if base is None else base) if isinstance(value, (np.ndarray, list, tuple)) else None


def fingerprint(array):
    """Return what changes when values in a NumPy array, or in a list or tuple of arrays and numbers, change.

    All values of a small array count, of a larger one 64, evenly spread: so a change of a few elements of a
    large array may be missed, a change of most of them is not. (CuPy arrays have none: to read them, the CPU
    would wait for the GPU. Nor has all else.)
    """
    if isinstance(array, (tuple, list)):
        return tuple(map(fingerprint, array))
    if not isinstance(array, np.ndarray):
        return repr(array) if isinstance(array, (int, float)) else None
    step = array.size // 64 | 1 if array.size > 256 else 1  # odd, so that all of 2, 4, 8 ... channels are seen
    values = array.reshape(-1) if array.flags.c_contiguous else array.flat  # flat: no copy of the whole
    return hash(values[::step].tobytes())


def check_unchanged(op_name, arrays, fingerprints):
    """Raise if one of the arrays that an op kept for backward() has no longer the fingerprint that it had then.

    Args:
        arrays: name -> array. fingerprints: name -> number, for some of the names.
    """
    for name, before in fingerprints.items():
        if fingerprint(arrays[name]) != before:
            raise RuntimeError(
                f"{op_name} kept an array for backward(), {name!r} of shape {np.shape(arrays[name])}, and it was "
                "changed in place since: the gradient would be wrong. Call optimizer.step() after "
                "loss.backward(), and make a new array (x = x + 1) instead of changing one (x += 1)"
            )


@functools.cache
def probe_cuda():
    """Try a real computation on the GPU, once.

    Returns:
        (cupy module, "") where a GPU works, else (None, the reason as a text for the user).
    """
    packages = installed_cupy_packages()
    if len(packages) > 1:
        return None, f"{' and '.join(packages)} break each other; pip uninstall all of them, then install one"
    try:
        import cupy
    except ImportError:
        return None, "cupy is not installed; install tinyhpe[cuda12] or tinyhpe[cuda13]"
    if not cupy.is_available():
        return None, "cupy finds no CUDA driver, or a too old one, or no GPU on this machine"
    try:
        capability = compute_capability(cupy)
        if capability < OLDEST_GPU:
            return None, f"the GPU's compute capability is {capability}, less than {OLDEST_GPU} (T4, RTX 20)"
        square = cupy.arange(4, dtype="f4").reshape(2, 2)
        float(((square + 1) @ square).sum())
    except Exception as error:  # whatever CUDA, NVRTC or cuBLAS raise: the reason is what matters
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        if "Failure finding" in reason:  # CuPy found no library of that name
            return None, f"no CUDA toolkit; tinyhpe[cuda12] and tinyhpe[cuda13] bring what is needed ({reason})"
        return None, f"a first computation on the GPU failed: {reason}"
    return cupy, ""


def installed_cupy_packages():
    """The installed ones of the packages that contain `cupy`."""
    from importlib.metadata import distributions  # slow to import, and only asked for where a GPU is

    installed = {distribution.name for distribution in distributions()}
    return [name for name in CUPY_PACKAGES if name in installed]


def compute_capability(cupy):
    """What the GPU's generation can do, NVIDIA's number: 7.5 for a T4, 8.0 for an A100."""
    return int(cupy.cuda.Device().compute_capability) / 10  # a text, "75"


def device_module(device):
    """Return the array module of a device name.

    Args:
        device: "cpu" or "cuda".

    Raises:
        InputError: the name is unknown, or no usable GPU is there (with the reason).
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise InputError(f"unknown device {device!r}: use 'cpu' or 'cuda'")
    cupy, reason = probe_cuda()
    if cupy is None:
        raise InputError(f"no usable GPU: {reason}; stay on the device 'cpu', and see `tinyhpe doctor`")
    return cupy


def to_numpy(array):
    """Return the array as a NumPy array; a CuPy array is copied from the GPU."""
    return array if isinstance(array, np.ndarray) else array.get()


def to_device(array, device):
    """Return the array on "cpu" or "cuda", copied only where it lives elsewhere."""
    xp = device_module(device)
    return to_numpy(array) if xp is np else xp.asarray(array)
