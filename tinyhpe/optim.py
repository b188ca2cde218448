"""Optimizers and learning-rate schedules, parameter by parameter as in the papers."""

import math

import numpy as np

from tinyhpe import backend
from tinyhpe.tensor import Tensor, check_gradient
from tinyhpe.ways import choose_way


class Optimizer:
    """Base: subclasses name their `moments`, arrays of each parameter's shape, and define update().

    A parameter that is frozen (requires_grad is False) or has no gradient is left as it is, as in torch.

    Args:
        parameters: leaf tensors, such as network.parameters(); one that comes twice counts once.
        lr: learning rate of the next step; schedules assign it.

    Raises:
        TypeError: something else than leaf tensors.
        ValueError: all of them are frozen.
    """

    ways = ()
    moments = ()

    def __init__(self, parameters, lr):
        if isinstance(parameters, Tensor) or not hasattr(parameters, "__iter__"):
            raise TypeError(f"{type(self).__name__} takes a list of parameters: network.parameters(), or [weight]")
        self.parameters = list({id(parameter): parameter for parameter in parameters}.values())
        if not all(isinstance(parameter, Tensor) and parameter.op is None for parameter in self.parameters):
            raise TypeError("only leaf tensors can be trained, not arrays, nor what was computed from others")
        if not any(parameter.requires_grad for parameter in self.parameters):
            raise ValueError("nothing to train: no parameter has requires_grad=True (is the model frozen?)")
        self.lr, self.steps = lr, 0
        self.state = [{} for _ in self.parameters]  # the moments of each parameter, by name

    def zero_grad(self):
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        """Change the parameters by one update.

        Raises:
            RuntimeError: there is no gradient at all: backward() was forgotten.
        """
        trained = [
            (parameter, state)
            for parameter, state in zip(self.parameters, self.state, strict=True)
            if parameter.requires_grad and parameter.grad is not None
        ]
        if not trained:
            raise RuntimeError("step() would move nothing: no parameter has a gradient; call backward() first")
        self.steps += 1
        for parameter, state in trained:
            check_gradient(f"{type(self).__name__}.step()", parameter.grad, parameter)
            xp, p = backend.array_module(parameter.data), parameter.data
            g = parameter.grad.astype(np.result_type(p.dtype, np.float32), copy=False)  # float16 is too narrow
            if not state:
                state.update({name: xp.zeros_like(g) for name in self.moments})
            choose_way(self, xp, p, g).update(self, p, g, **state)

    def state_dict(self):
        """Return the moments (copies, NumPy, "NUMBER.NAME") and the step count."""
        state = {
            f"{number}.{name}": np.array(backend.to_numpy(array))
            for number, moments in enumerate(self.state)
            for name, array in moments.items()
        }
        return state | {"steps": np.array(self.steps)}

    def load_state_dict(self, state):
        """Take moments and step count from state_dict(); raises ValueError if they are another optimizer's."""
        shapes = {"steps": ()}
        for i, parameter in enumerate(self.parameters):
            own = {f"{i}.{name}": parameter.shape for name in self.moments}
            shapes |= own if state.keys() & own else {}  # a frozen one has none
        arrays = {key: backend.plain_array(array) for key, array in state.items()}
        if wrong := dict(shapes.items() ^ {(key, array.shape) for key, array in arrays.items()}):
            raise ValueError(f"the state of another optimizer: {min(wrong)} does not fit, of {len(state)} arrays")
        if any(array.dtype.kind not in "iuf" for array in arrays.values()) or not 0 <= arrays["steps"] < 2**53:
            raise ValueError(f"the state of no optimizer: {arrays['steps']} steps, or moments that are no numbers")
        self.steps, self.state = int(arrays.pop("steps")), [{} for _ in self.parameters]
        for key, array in arrays.items():
            number, name = key.split(".")
            xp = backend.array_module(self.parameters[int(number)].data)
            self.state[int(number)][name] = xp.array(array)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay, in torch's form: v = m v + g; p -= lr v."""

    moments = ("velocity",)

    def __init__(self, parameters, lr=0.1, momentum=0.9, weight_decay=0.0):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = momentum, weight_decay

    def update(self, p, g, velocity):
        """Change p and velocity in place; g is the gradient. All of one shape."""
        velocity *= self.momentum
        velocity += g + self.weight_decay * p
        p -= self.lr * velocity


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with the defaults of Gao and Wang (2019)."""

    moments = ("mean", "square")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(parameters, lr)
        self.betas, self.eps = betas, eps

    def update(self, p, g, mean, square):
        """Change p and its moments in place; g is the gradient. All of one shape."""
        beta1, beta2 = self.betas
        mean += (1 - beta1) * (g - mean)
        square += (1 - beta2) * (g * g - square)
        rate = self.lr / (1 - beta1**self.steps)  # the moments start at 0; this and `scale` make them unbiased
        scale = (1 - beta2**self.steps) ** 0.5
        p -= rate * mean / (square**0.5 / scale + self.eps)


def cosine(lr, progress):
    """Half a cosine from lr down to 0 as progress goes from 0 to 1 (Loshchilov and Hutter, 2017)."""
    return lr * 0.5 * (1 + math.cos(math.pi * progress))
