"""Optimizers and learning-rate schedules.

Parameters, gradients and moments are flat arrays: the parameters' own arrays become views into one of
them. One update is then a few long array operations instead of a few for each of a hundred parameters.
"""

import math

import numpy as np

from tinyhpe import backend
from tinyhpe.ops import kernels

CHUNK_VALUES = 1 << 16  # values updated at a time: all arrays of a chunk together stay in the cache


class Optimizer:
    """Base: owns the flat parameters. Frozen parameters are left out.

    Args:
        parameters: list of Parameter.
        lr: learning rate of the next step; schedules assign it.
    """

    state_names = ()  # flat arrays that a checkpoint must hold

    def __init__(self, parameters, lr):
        self.parameters = [p for p in parameters if p.requires_grad]
        if not self.parameters:
            raise ValueError("nothing to train: no parameter has requires_grad=True (is the model frozen?)")
        self.lr, self.steps = lr, 0
        xp = backend.array_module(*[p.data for p in self.parameters])
        self.xp, self.flat = xp, xp.concatenate([p.data.ravel() for p in self.parameters])
        start = 0
        for parameter in self.parameters:
            end = start + parameter.size
            parameter.data = self.flat[start:end].reshape(parameter.shape)
            start = end
        for name in self.state_names:
            setattr(self, name, xp.zeros_like(self.flat))

    def zero_grad(self):
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        """Change the parameters by one update; a parameter without a gradient counts as gradient 0."""
        xp = self.xp
        gradients = [xp.zeros_like(p.data) if p.grad is None else p.grad for p in self.parameters]
        gradient = xp.concatenate([g.ravel() for g in gradients])
        self.steps += 1
        if backend.suits_kernels(self.flat):
            self.update_cuda(self.flat, gradient, *(getattr(self, name) for name in self.state_names))
            return
        for start in range(0, self.flat.size, CHUNK_VALUES):
            chunk = slice(start, start + CHUNK_VALUES)
            self.update(self.flat[chunk], gradient[chunk], *(getattr(self, n)[chunk] for n in self.state_names))

    def update_cuda(self, p, g, *state):
        """update() on a GPU: of all parameters at once, since there is no cache to stay in."""
        self.update(p, g, *state)

    def state_dict(self):
        """Return the moments (copies, NumPy) and the step count."""
        state = {name: np.array(backend.to_numpy(getattr(self, name))) for name in self.state_names}
        return state | {"steps": np.array(self.steps)}

    def load_state_dict(self, state):
        """Take moments and step count from state_dict()."""
        self.steps = int(state["steps"])
        for name in self.state_names:
            getattr(self, name)[...] = self.xp.asarray(state[name])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay, in torch's form: v = m v + g; p -= lr v."""

    state_names = ("velocity",)

    def __init__(self, parameters, lr=0.1, momentum=0.9, weight_decay=0.0):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = momentum, weight_decay

    def update(self, p, g, velocity):
        velocity *= self.momentum
        velocity += g
        if self.weight_decay:
            velocity += self.weight_decay * p
        p -= self.lr * velocity


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with the defaults of Gao and Wang (2019)."""

    state_names = ("mean", "square")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(parameters, lr)
        self.betas, self.eps = betas, eps
        self.rates = self.xp.empty(2, np.float32)  # for update_cuda

    def update(self, p, g, mean, square):
        beta1, beta2 = self.betas
        mean *= beta1
        mean += (1 - beta1) * g
        square *= beta2
        square += (1 - beta2) * (g * g)
        # the bias corrections are two numbers: put into the step size and the root
        root = self.xp.sqrt(square)
        root *= 1 / math.sqrt(1 - beta2**self.steps)
        root += self.eps
        self.xp.divide(mean, root, out=root)
        root *= self.lr / (1 - beta1**self.steps)
        p -= root

    def update_cuda(self, p, g, mean, square):
        """One kernel. What changes from step to step it reads from one place in the GPU's memory."""
        beta1, beta2 = self.betas
        # so written, no array is copied to the GPU, and nobody waits
        self.rates[0] = self.lr / (1 - beta1**self.steps)
        self.rates[1] = 1 / math.sqrt(1 - beta2**self.steps)
        kernels.adam(kernels.cuda_module(), p, g, mean, square, self.rates, self.betas, self.eps)


def cosine(lr, progress):
    """Half a cosine from lr down to 0 as progress goes from 0 to 1 (Loshchilov and Hutter, 2017)."""
    return lr * 0.5 * (1 + math.cos(math.pi * progress))


def step_decay(lr, progress, drops=(0.5, 0.75), factor=0.1):
    """lr, multiplied by `factor` when progress passes each of the `drops`."""
    return lr * factor ** sum(progress >= drop for drop in drops)
