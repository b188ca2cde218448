"""Module: a part of a network that owns parameters, buffers and further modules, as in PyTorch."""

import contextlib
from contextvars import ContextVar

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.tensor import Tensor, no_grad
from tinyhpe.ways import choose_way

evaluating = ContextVar("evaluating", default=False)  # each thread (and task) has a value of its own


@contextlib.contextmanager
def evaluation():
    """Inside this context all modules behave as in evaluation mode, and nothing is recorded.

    Unlike eval() it changes no module: another thread may go on training them.
    """
    token = evaluating.set(True)
    try:
        with no_grad():
            yield
    finally:
        evaluating.reset(token)


class Parameter(Tensor):
    """A tensor that is trained.

    Args:
        data: the initial values.
        torch_axes: the order of axes that turns our layout into torch's; files hold torch's.
    """

    __slots__ = ("torch_axes",)

    def __init__(self, data, torch_axes=None):
        super().__init__(data, requires_grad=True)
        self.torch_axes = torch_axes or tuple(range(self.ndim))


class Module:
    """Base of all layers and networks. Subclasses define forward().

    What a module owns is what its attributes are: parameters, modules, and lists, tuples and dictionaries of them.
    """

    training, frozen = True, False
    ways = ()  # of infer(), see ways.py
    buffer_names = ()  # names of the arrays that belong to the state but are not trained

    def register_buffer(self, name, array):
        """Keep an array that belongs to the state but is not trained (running statistics)."""
        self.buffer_names = (*self.buffer_names, name)
        setattr(self, name, backend.plain_array(array))

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def infer(self, images):
        """Return the outputs for an array of images (N, H, W, 3), in evaluation mode, as an array."""
        return choose_way(self, backend.array_module(images), images).inference(self, images)

    def inference(self, images):
        """infer() in its plain way."""
        with evaluation():
            return self(Tensor(images)).data

    def __repr__(self):
        settings = {name: value for name, value in vars(self).items() if name not in ("training", "frozen")}
        parts = [f"{name}={value!r}" for name, value in settings.items() if isinstance(value, (int, float, str))]
        parts += [f"{name}: {value.shape}" for name, value in owned(self) if isinstance(value, Parameter)]
        inside = [f"\n({name}): {value!r}" for name, value in owned(self) if isinstance(value, Module)]
        lines = "".join(inside).replace("\n", "\n  ") + "\n" * bool(inside)
        return f"{type(self).__name__}({', '.join(parts)}{lines})"

    def named_modules(self, prefix=""):
        """Yield (dotted name, module): this one first, then all inside it."""
        yield prefix, self
        for name, value in owned(self):
            if isinstance(value, Module):
                yield from value.named_modules(joined(prefix, name))

    def modules(self):
        """Yield this module and all inside it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self):
        """Yield (dotted name, Parameter)."""
        for prefix, module in self.named_modules():
            for name, value in owned(module):
                if isinstance(value, Parameter):
                    yield joined(prefix, name), value

    def parameters(self):
        """List all parameters, each once."""
        return list({id(parameter): parameter for _, parameter in self.named_parameters()}.values())

    def named_buffers(self):
        """Yield (dotted name, array)."""
        for prefix, module in self.named_modules():
            for name in module.buffer_names:
                yield joined(prefix, name), getattr(module, name)

    def train(self, mode=True):
        """Set training mode everywhere, except in frozen modules."""
        for module in self.modules():
            module.training = mode and not module.frozen
        return self

    def eval(self):
        """Set evaluation mode: batch norm uses its running statistics."""
        return self.train(False)

    def freeze(self):
        """Stop training this part: no gradients, no changing statistics. train() does not undo it."""
        for module in self.modules():
            module.frozen, module.training = True, False
        for parameter in self.parameters():
            parameter.requires_grad = False
        return self

    def to(self, device):
        """Move all parameters and buffers to "cpu" or "cuda"."""
        for parameter in self.parameters():
            parameter.data, parameter.grad = backend.to_device(parameter.data, device), None
        for module in self.modules():
            for name in module.buffer_names:
                setattr(module, name, backend.to_device(getattr(module, name), device))
        return self

    def arrays(self):
        """All parameters and buffers: dotted name -> a view of the array in torch's layout."""
        parameters = {name: p.data.transpose(p.torch_axes) for name, p in self.named_parameters()}
        return parameters | dict(self.named_buffers())

    def state_dict(self):
        """Return copies of arrays() as NumPy arrays."""
        return {name: np.array(backend.to_numpy(array), order="C") for name, array in self.arrays().items()}

    def load_state_dict(self, state, strict=True):
        """Copy arrays in torch's layout into the parameters and buffers.

        `num_batches_tracked`, which torch keeps and nobody uses, is passed over.

        Args:
            strict: whether names and shapes must be exactly those of this network; else what does not fit is left.

        Returns:
            The names of what does not fit.

        Raises:
            InputError: something does not fit, and strict: another architecture.
        """
        own, wrong = self.arrays(), {}
        for name in sorted({*own, *state}):
            if name not in state:
                wrong[name] = "is missing"
            elif name not in own and not name.endswith("num_batches_tracked"):
                wrong[name] = "is too many"
            elif name in own and own[name].shape != np.shape(state[name]):
                wrong[name] = f"has shape {np.shape(state[name])}, expected {own[name].shape}"
        if wrong and strict:
            name, reason = next(iter(wrong.items()))
            raise InputError(f"weights of another architecture: {len(wrong)} arrays do not fit ({name} {reason})")
        for name in sorted(own.keys() - wrong.keys()):
            xp = backend.array_module(own[name])
            xp.copyto(own[name], xp.asarray(backend.plain_array(state[name])))  # refuses complex numbers
        return list(wrong)


class Sequential(Module):
    """Modules one after another, named "0", "1", ... as in torch."""

    def __init__(self, *modules):
        if not all(isinstance(module, Module) for module in modules):
            raise TypeError("Sequential takes modules, one by one: nn.ReLU() for ops.relu, Sequential(*layers)")
        for number, module in enumerate(modules):
            setattr(self, str(number), module)

    def __iter__(self):
        return (module for _, module in owned(self))

    def forward(self, x):
        for module in self:
            x = module(x)
        return x


def owned(module):
    """Yield (name, value) of the parameters and modules among the attributes of a module."""
    waiting = list(vars(module).items())[::-1]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, (Module, Parameter)):
            yield name, value
        elif isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{name}.{key}", part) for key, part in items][::-1]


def joined(prefix, name):
    """The dotted name of something inside a module."""
    return f"{prefix}.{name}" if prefix else name
