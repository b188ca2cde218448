"""A pretend GPU: NumPy in disguise, as strict as CuPy about arrays that live elsewhere.

It lets an exercise about `xp` be judged on a machine without a GPU.
"""

import contextlib
import sys
import types

import numpy as np


class PretendArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that refuses to meet a NumPy array, with CuPy's words."""

    def __init__(self, data):
        self.on_device = data

    def __array_ufunc__(self, function, method, *inputs, **settings):
        if method != "__call__":
            return NotImplemented
        return on_device(function)(*inputs, **settings)

    def __array_function__(self, function, kinds, inputs, settings):
        return on_device(function)(*inputs, **settings)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getattr__(self, name):
        found = getattr(self.on_device, name)
        return on_device(found) if callable(found) else wrap(found)

    def __getitem__(self, index):
        return wrap(self.on_device[unwrap(index)])

    def __setitem__(self, index, value):
        self.on_device[unwrap(index)] = unwrap(value)

    def __len__(self):
        return len(self.on_device)

    def get(self):
        """The array, copied to the CPU."""
        return self.on_device.copy()


def wrap(value):
    """Move NumPy arrays to the pretend device, those in a list too; leave the rest as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(wrap, value))
    return PretendArray(value) if isinstance(value, (np.ndarray, np.generic)) else value


def unwrap(value):
    """Open a pretend array; refuse a NumPy array, since it is not on the device."""
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(v) for v in value)
    return value.on_device if isinstance(value, PretendArray) else value


def on_device(function):
    """Make a NumPy function take and give pretend arrays."""

    def run(*inputs, **settings):
        settings = {name: unwrap(value) for name, value in settings.items()}
        return wrap(function(*[unwrap(value) for value in inputs], **settings))

    return run


def make_module():
    """A module with NumPy's names, for pretend arrays."""

    def find(name):
        found = getattr(np, name)
        return on_device(found) if callable(found) and not isinstance(found, type) else found

    module = types.ModuleType("cupy")
    module.__getattr__ = find
    module.ndarray = PretendArray
    module.asarray = module.array = lambda value, dtype=None: PretendArray(
        np.asarray(value.on_device if isinstance(value, PretendArray) else value, dtype)
    )
    return module


@contextlib.contextmanager
def pretend_gpu():
    """While this lasts, `array_module` takes pretend arrays for CuPy's."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module = make_module()
    try:
        yield module
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
