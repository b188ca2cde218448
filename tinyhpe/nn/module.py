"""Module: a part of a network that owns parameters, buffers and further modules, as in PyTorch."""

import numpy as np

from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.tensor import Tensor


class Parameter(Tensor):
    """A tensor that is trained.

    Args:
        data: the initial values.
        torch_axes: the order of axes that turns our layout into torch's; files hold torch's.
    """

    __slots__ = ("torch_axes",)

    def __init__(self, data, torch_axes=None):
        super().__init__(data, requires_grad=True)
        self.torch_axes = torch_axes or tuple(range(data.ndim))


class Module:
    """Base of all layers and networks. Subclasses define forward()."""

    def __init__(self):
        self.training, self.frozen = True, False
        self._parameters, self._buffers, self._modules = {}, {}, {}

    def __setattr__(self, name, value):
        for kind, registry in (Parameter, "_parameters"), (Module, "_modules"):
            if isinstance(value, kind):
                getattr(self, registry)[name] = value
        object.__setattr__(self, name, value)

    def register_buffer(self, name, array):
        """Keep an array that belongs to the state but is not trained (running statistics)."""
        self._buffers[name] = array
        object.__setattr__(self, name, array)

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def named_modules(self, prefix=""):
        """Yield (dotted name, module): this one first, then all inside it."""
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self):
        """Yield this module and all inside it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self):
        """Yield (dotted name, Parameter)."""
        for prefix, module in self.named_modules():
            for name, parameter in module._parameters.items():
                yield f"{prefix}.{name}" if prefix else name, parameter

    def parameters(self):
        """List all parameters."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self):
        """Yield (dotted name, array)."""
        for prefix, module in self.named_modules():
            for name, array in module._buffers.items():
                yield f"{prefix}.{name}" if prefix else name, array

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
        for module in self.modules():
            for parameter in module._parameters.values():
                parameter.data, parameter.grad = backend.to_device(parameter.data, device), None
            for name, array in module._buffers.items():
                module.register_buffer(name, backend.to_device(array, device))
        return self

    def state_dict(self):
        """Return a copy of all parameters and buffers: dotted name -> NumPy array in torch's layout."""
        state = {n: backend.to_numpy(p.data).transpose(p.torch_axes) for n, p in self.named_parameters()}
        state |= {name: backend.to_numpy(array) for name, array in self.named_buffers()}
        return {name: np.array(array, order="C") for name, array in state.items()}

    def load_state_dict(self, state):
        """Copy arrays in torch's layout into the parameters and buffers.

        `num_batches_tracked`, which torch keeps and nobody uses, is passed over.

        Raises:
            InputError: names are missing or too many, or shapes differ: another architecture.
        """
        state = {name: array for name, array in state.items() if not name.endswith("num_batches_tracked")}
        own = {name: (p.data, p.torch_axes) for name, p in self.named_parameters()}
        own |= {name: (array, tuple(range(array.ndim))) for name, array in self.named_buffers()}
        if missing := sorted(own.keys() - state.keys()):
            raise InputError(f"weights of another architecture: {len(missing)} arrays missing ({missing[0]})")
        if extra := sorted(state.keys() - own.keys()):
            raise InputError(f"weights of another architecture: {len(extra)} arrays too many ({extra[0]})")
        for name, (array, torch_axes) in own.items():
            shape = tuple(array.shape[axis] for axis in torch_axes)
            if state[name].shape != shape:
                raise InputError(
                    f"weights of another architecture: {name} has shape {state[name].shape}, expected {shape}"
                )
        for name, (array, torch_axes) in own.items():
            xp = backend.array_module(array)
            array[...] = xp.asarray(state[name]).transpose(np.argsort(torch_axes).tolist())


class Sequential(Module):
    """Modules one after another, named "0", "1", ... as in torch."""

    def __init__(self, *modules):
        super().__init__()
        for number, module in enumerate(modules):
            setattr(self, str(number), module)

    def __iter__(self):
        return iter(self._modules.values())

    def forward(self, x):
        for module in self:
            x = module(x)
        return x
