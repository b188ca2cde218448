"""The tape: a Tensor remembers the Op that made it; backward() walks from output to inputs.

The graph runs output -> op -> inputs and never back, so it has no reference cycles, and a
graph that nobody holds is freed at once.
"""

import contextlib
from contextvars import ContextVar
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from tinyhpe import backend
from tinyhpe.ways import choose_way

_recording = ContextVar("recording", default=True)  # each thread (and task) has a value of its own


@contextlib.contextmanager
def no_grad():
    """Inside this context nothing is recorded: for evaluation and for changing weights."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


class Sample(NamedTuple):
    """One example of an op: inputs inside its domain and away from its kinks."""

    inputs: tuple  # float64 arrays
    settings: dict = {}  # noqa: RUF012  keyword arguments of the op's constructor
    analytic: bool = True  # whether the op takes complex inputs and is complex differentiable here


class Op:
    """A differentiable function: arrays in, array out, first order only.

    A subclass has `forward(self, xp, *arrays) -> array`, `backward(self, xp, g) -> one gradient
    per input` (None where `self.needs[i]` is False) and `samples(rng) -> iterable of Sample`.
    What backward needs is kept on `self`. `xp` is numpy or cupy.

    `ways` are quicker ways of the same function (ways.py): `suits(op, xp, *arrays)`, forward and backward.
    """

    registry = {}  # noqa: RUF012  class name -> class, of every op there is
    ways = ()
    inputs = None  # the Tensors that went in; None before apply() and after backward()
    needs = ()  # which inputs want a gradient
    fingerprints = {}  # noqa: RUF012  of what backward() needs and others could change

    def __init_subclass__(cls):
        if not hasattr(cls, "samples"):
            raise TypeError(f"op {cls.__name__} has no samples(), so nobody can check it: add it as class Op says")
        Op.registry[cls.__name__] = cls


class Tensor:
    """An array that can be differentiated. (Its operators and methods such as sum() are added by ops.)

    Args:
        data: a NumPy or CuPy array of numbers, or what numpy.asarray takes (Python floats become float32).
        requires_grad: whether backward() is to leave a gradient in `.grad`.
    """

    __array_priority__ = 1000  # so that a CuPy array asks the tensor in array + tensor ...
    __array_ufunc__ = None  # ... and a NumPy array, too
    __slots__ = ("__weakref__", "_data", "_grad", "op", "requires_grad")

    def __init__(self, data, requires_grad=False):
        if isinstance(data, Tensor):
            raise TypeError("this is a Tensor already: use it as it is, or its detach() for a constant")
        self.data, self._grad, self.op, self.requires_grad = data, None, None, requires_grad
        if requires_grad and self.dtype.kind not in "fc":
            raise TypeError(f"only floating-point tensors can have a gradient, this one is {self.dtype}")

    # whoever sets them, data and grad become plain arrays, or are refused
    data = property(attrgetter("_data"), lambda self, data: setattr(self, "_data", backend.plain_array(data)))
    grad = property(
        attrgetter("_grad"), lambda self, g: setattr(self, "_grad", g if g is None else backend.plain_array(g))
    )

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)

    def __repr__(self):
        maker = f", op={type(self.op).__name__}" if self.op else ""
        return f"Tensor({self.data!r}, requires_grad={self.requires_grad}{maker})"

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise TypeError(
                "NumPy would lose the gradient that this tensor requires: use its own methods (x.reshape) and "
                "ops (ops.exp), or say that it may be lost: x.numpy()"
            )
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self):
        """Return the one value of this tensor as a Python float."""
        return self.data.item()

    def numpy(self):
        """Return the values as a NumPy array (copied if they are on a GPU)."""
        return backend.to_numpy(self.data)

    def detach(self):
        """Return a constant with the same array."""
        return Tensor(self.data)

    def to(self, device):
        """Return this leaf tensor on "cpu" or "cuda"; the graph is not carried along."""
        return Tensor(backend.to_device(self.data, device), self.requires_grad)

    def backward(self, gradient=None):
        """Add the gradient of this tensor with respect to every leaf to the leaf's `.grad`.

        The graph is released on the way, so backward() runs once for each forward pass.

        Args:
            gradient: array of this tensor's shape and dtype; may be left out for a scalar (then 1).
        """
        if not self.requires_grad:
            raise RuntimeError("no gradient: no input has requires_grad=True, or it was computed under no_grad()")
        if gradient is None and self.size != 1:
            raise RuntimeError(f"backward() of shape {self.shape}: use sum() or mean() first, or pass a gradient")
        xp = backend.array_module(self.data)
        gradient = xp.ones_like(self.data) if gradient is None else backend.plain_array(gradient, self.dtype)
        check_gradient("the gradient given to backward()", gradient, self)
        gradients = {id(self): gradient}
        order = backward_order(self)
        while order:
            tensor = order.pop()  # popped, so that its array is freed as soon as its op is done
            if (g := gradients.pop(id(tensor), None)) is None:  # every path from the output gave no gradient
                continue
            if tensor.op is None:
                tensor.grad = g.copy() if tensor.grad is None else tensor.grad + g
                continue
            for source, gradient in run_backward(tensor.op, xp, g):
                if id(source) in gradients:  # never in place: it may be the array that another op was handed
                    gradient = xp.asarray(gradients[id(source)] + gradient)
                gradients[id(source)] = gradient


def run_backward(op, xp, g):
    """Run one op's backward, release what it kept, and return (input tensor, gradient) pairs."""
    if op.inputs is None:
        raise RuntimeError(
            f"the graph behind {type(op).__name__} was released by an earlier backward(): "
            "compute the loss again before calling backward() again, or add the losses up first"
        )
    backend.check_unchanged(type(op).__name__, vars(op), op.fingerprints)
    gradients = op.way.backward(op, xp, g)
    if len(gradients) != len(op.inputs):
        raise TypeError(
            f"{type(op).__name__}.backward() returned {len(gradients)} gradients for {len(op.inputs)} inputs: "
            "return one for each input, None where none is needed"
        )
    pairs = []
    for number, (source, gradient) in enumerate(zip(op.inputs, gradients, strict=True)):
        if source.requires_grad and gradient is not None:
            gradient = backend.plain_array(gradient)
            check_gradient(f"{type(op).__name__}.backward(), input {number}", gradient, source)
            pairs.append((source, gradient))
    op.__dict__.clear()  # the inputs and all that forward kept: memory goes down as backward proceeds
    return pairs


def check_gradient(where, gradient, tensor):
    """Raise if a gradient has not the shape, dtype and device of the tensor that it belongs to."""
    backend.array_module(gradient, tensor.data)
    if gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
        raise ValueError(
            f"{where}: a gradient of shape {gradient.shape} and {gradient.dtype} for a tensor of {tensor.shape} "
            f"and {tensor.dtype}: make them equal (a broadcast not summed back? a float64 constant mixed in?)"
        )


def backward_order(output):
    """List the tensors behind `output`, last to be visited first: popping gives outputs before inputs.

    Depth-first without recursion, in time linear in the graph: a chain of 100,000 nodes is fine.
    """
    finished, seen, stack = [], set(), [(output, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        if inputs_done:
            finished.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor.op is not None:
                stack += [(source, False) for source in tensor.op.inputs or () if source.requires_grad]
    return finished


def apply(op, *inputs):
    """Run an op on tensors and record it if any of them needs a gradient.

    Arrays and Python numbers among the inputs become constant tensors; a number takes the others' dtype.
    """
    tensors = tuple(as_tensor(value, inputs) for value in inputs)
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1:
        raise TypeError(
            f"{type(op).__name__} got {' and '.join(sorted(map(str, dtypes)))}: dtypes are never mixed silently; "
            "make all of them float32 (training) or all float64 (to check gradients), with array.astype()"
        )
    arrays = [tensor.data for tensor in tensors]
    xp = backend.array_module(*arrays)
    settings = list(vars(op).values())
    op.needs = tuple(tensor.requires_grad and _recording.get() for tensor in tensors)
    op.way = choose_way(op, xp, *arrays)
    output = Tensor(op.way.forward(op, xp, *arrays))
    if any(op.needs):
        others = {backend.owner(value) for value in (*settings, *arrays, output.data)} - {None}  # not the op's own
        op.fingerprints = {k: backend.fingerprint(v) for k, v in vars(op).items() if backend.owner(v) in others}
        op.inputs, output.op, output.requires_grad = tensors, op, True
    return output


def as_tensor(value, others):
    """Return `value` if it is a tensor, else a constant; a number gets dtype and device of tensors in `others`."""
    if isinstance(value, Tensor):
        return value
    like = next((other.data for other in others if isinstance(other, Tensor)), None)
    return Tensor(value if like is None or hasattr(value, "dtype") else backend.array_like(value, like))
