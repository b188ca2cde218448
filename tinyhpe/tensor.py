"""The tape: a Tensor remembers the Op that made it; backward() walks from output to inputs.

The graph runs output -> op -> inputs and never back, so it has no reference cycles, and a
graph that nobody holds is freed at once.
"""

import contextlib
from typing import NamedTuple

import numpy as np

from tinyhpe import backend

_grad_enabled = True


@contextlib.contextmanager
def no_grad():
    """Inside this context nothing is recorded: for evaluation and for changing weights."""
    global _grad_enabled
    before, _grad_enabled = _grad_enabled, False
    try:
        yield
    finally:
        _grad_enabled = before


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
    """

    registry = {}  # noqa: RUF012  class name -> class, of every op there is
    inputs = None  # the Tensors that went in; None before apply() and after backward()
    needs = ()  # which inputs want a gradient

    def __init_subclass__(cls):
        if "samples" not in cls.__dict__:
            raise TypeError(
                f"op {cls.__name__} has no samples(): without examples its gradient cannot be checked; "
                "add a static method samples(rng) that yields Sample(inputs, settings)"
            )
        Op.registry[cls.__name__] = cls


class Tensor:
    """An array that can be differentiated.

    Args:
        data: a NumPy or CuPy array, or what numpy.asarray takes (Python floats become float32).
        requires_grad: whether backward() is to leave a gradient in `.grad`.
    """

    __array_priority__ = 1000  # so that array + tensor asks the tensor
    __slots__ = ("__weakref__", "data", "grad", "op", "requires_grad")

    def __init__(self, data, requires_grad=False):
        if not hasattr(data, "dtype"):
            data = np.asarray(data, dtype=np.float32)
        elif isinstance(data, np.generic):  # a NumPy scalar
            data = np.asarray(data)
        if requires_grad and data.dtype.kind not in "fc":
            raise TypeError(f"only floating-point tensors can have a gradient, this one is {data.dtype}")
        self.data, self.grad, self.op, self.requires_grad = data, None, None, requires_grad

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)

    def __repr__(self):
        maker = f", op={type(self.op).__name__}" if self.op else ""
        return f"Tensor({self.data!r}, requires_grad={self.requires_grad}{maker})"

    def __len__(self):
        return len(self.data)

    def item(self):
        """Return the one value of this tensor as a Python float."""
        return self.data.item()

    def numpy(self):
        """Return the values as a NumPy array (copied if they are on a GPU)."""
        return backend.to_numpy(self.data)

    def to(self, device):
        """Return this leaf tensor on "cpu" or "cuda"; the graph is not carried along."""
        return Tensor(backend.to_device(self.data, device), self.requires_grad)

    def backward(self, gradient=None):
        """Add the gradient of this tensor with respect to every leaf to the leaf's `.grad`.

        The graph is released on the way, so backward() runs once for each forward pass.

        Args:
            gradient: array of this tensor's shape and dtype; may be left out for a scalar (then 1).
        """
        xp = backend.array_module(self.data)
        if not self.requires_grad:
            raise RuntimeError(
                "backward() on a tensor that needs no gradient: none of its inputs has requires_grad=True, "
                "or it was computed under no_grad()"
            )
        if gradient is None:
            if self.size != 1:
                raise RuntimeError(
                    f"backward() on a tensor of shape {self.shape} needs a gradient to start from: "
                    "reduce it to a scalar loss first (.sum() or .mean()), or pass backward(gradient)"
                )
            gradient = xp.ones_like(self.data)
        check_gradient("the gradient given to backward()", gradient, self)
        gradients = {id(self): gradient}
        order = backward_order(self)
        while order:
            tensor = order.pop()  # popped, so that its array is freed as soon as its op is done
            g = gradients.pop(id(tensor), None)
            if g is None:  # every path from the output gave no gradient
                continue
            if tensor.op is None:
                tensor.grad = g.copy() if tensor.grad is None else tensor.grad + g
                continue
            for source, gradient in run_backward(tensor.op, xp, g):
                known = gradients.get(id(source))
                # never in place: `gradient` may be the very array that another op was handed
                gradients[id(source)] = gradient if known is None else known + gradient


def run_backward(op, xp, g):
    """Run one op's backward, release what it kept, and return (input tensor, gradient) pairs."""
    if op.inputs is None:
        raise RuntimeError(
            f"the graph behind {type(op).__name__} was released by an earlier backward(): "
            "compute the loss again before calling backward() again, or add the losses up first"
        )
    gradients = op.backward(xp, g)
    sources = op.inputs
    if len(gradients) != len(sources):
        raise TypeError(
            f"{type(op).__name__}.backward() returned {len(gradients)} gradients for {len(sources)} inputs: "
            "return one for each input, None where none is needed"
        )
    pairs = []
    for number, (source, gradient) in enumerate(zip(sources, gradients, strict=True)):
        if source.requires_grad and gradient is not None:
            check_gradient(f"{type(op).__name__}.backward(), input {number}", gradient, source)
            pairs.append((source, gradient))
    op.__dict__.clear()  # the inputs and all that forward kept: memory goes down as backward proceeds
    return pairs


def check_gradient(where, gradient, tensor):
    """Raise if a gradient has not the shape and dtype of the tensor that it belongs to."""
    if gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
        raise ValueError(
            f"{where}: gradient of shape {gradient.shape} and dtype {gradient.dtype} for a tensor of shape "
            f"{tensor.shape} and dtype {tensor.dtype}; they must be equal "
            "(was a broadcast not summed back, or a float64 constant mixed in?)"
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

    Arrays and Python numbers among the inputs become constant tensors of the others' dtype.
    """
    dtypes = {value.dtype for value in inputs if isinstance(value, Tensor)}
    if len(dtypes) > 1:
        names = " and ".join(sorted(str(dtype) for dtype in dtypes))
        raise TypeError(
            f"{type(op).__name__} got tensors of {names}: dtypes are never mixed silently; "
            "make all of them float32 (training) or all float64 (gradient checks)"
        )
    tensors = tuple(v if isinstance(v, Tensor) else constant(op, v, inputs) for v in inputs)
    arrays = [tensor.data for tensor in tensors]
    xp = backend.array_module(*arrays)
    op.needs = tuple(tensor.requires_grad and _grad_enabled for tensor in tensors)
    output = Tensor(xp.asarray(op.forward(xp, *arrays)))
    if any(op.needs):
        op.inputs, output.op, output.requires_grad = tensors, op, True
    return output


def constant(op, value, inputs):
    """Make a constant tensor of a number or array, with the dtype and device of the tensors among `inputs`."""
    tensors = [other for other in inputs if isinstance(other, Tensor)]
    if not tensors:
        return Tensor(value)
    dtype = tensors[0].dtype
    if not hasattr(value, "dtype"):
        # a Python number takes the tensor's precision, but never loses its fraction to an integer tensor
        value = backend.array_module(tensors[0].data).asarray(value, dtype if dtype.kind in "fc" else None)
    if value.dtype != dtype:
        raise TypeError(
            f"{type(op).__name__} got a {dtype} tensor and a {value.dtype} value: dtypes are never mixed "
            f"silently; convert the value with .astype('{dtype}'), or the tensor"
        )
    return Tensor(value)
