"""Optimizers and learning-rate schedules.

Parameters, gradients and moments are flat arrays: the parameters' own arrays become views into one of
them. One update is then a few long array operations instead of a few for each of a hundred parameters.
"""

import itertools
import math

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda import kernels

CHUNK_VALUES = 1 << 16  # values updated at a time: all arrays of a chunk together stay in the cache
FIRST_SCALE, LARGEST_SCALE = 2.0**16, 2.0**24  # powers of two: to multiply and divide by them rounds nothing
GROWTH_INTERVAL = 1000  # steps


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
        ends = np.cumsum([p.size for p in self.parameters]).tolist()
        self.places = [slice(start, end) for start, end in itertools.pairwise([0, *ends])]
        for place, parameter in zip(self.places, self.parameters, strict=True):
            parameter.data = self.flat[place].reshape(parameter.shape)
        for name in self.state_names:
            setattr(self, name, xp.zeros_like(self.flat))

    def zero_grad(self):
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        """Change the parameters by one update; a parameter without a gradient counts as gradient 0."""
        self.advance()
        self.apply()

    def advance(self):
        """The half of step() that is not part of a CUDA graph (cuda_graph.py): count."""
        self.steps += 1

    def apply(self):
        """The half of step() that changes the parameters; Adam's may be recorded, SGD's has its lr by value."""
        gradient = self.xp.empty_like(self.flat)
        for place, parameter in zip(self.places, self.parameters, strict=True):
            gradient[place] = 0 if parameter.grad is None else parameter.grad.ravel()
        arrays = self.flat, gradient, *(getattr(self, name) for name in self.state_names)
        if backend.suits_kernels(self.flat):
            self.update_cuda(*arrays)
            return
        for start in range(0, self.flat.size, CHUNK_VALUES):
            self.update(*(array[start : start + CHUNK_VALUES] for array in arrays))

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


class LossScale:
    """Loss scaling for gradients that go through float16 (Micikevicius et al., 2018, section 3.2).

    What is below 6e-8 is 0 in float16. So backward() starts from a large number instead of 1, the scale, which
    makes all gradients that many times as large, and Adam divides by it again. The scale finds its size by itself,
    as that of torch.amp.GradScaler: if it makes a gradient infinite, Adam leaves the step out, and the scale is
    halved; after GROWTH_INTERVAL steps in a row without, it is doubled.

        adam = Adam(parameters, loss_scale=LossScale(cupy))
        loss.backward(adam.loss_gradient)
        adam.step()

    All three numbers are in the memory of the GPU and decided upon there: the program waits for none of them.

    Attributes:
        value: () float32, the scale: what a scalar loss.backward() is to start from.
        overflow: () int32, 1 if a gradient of this step is infinite or NaN.
        steps_without: () int32, steps since the last overflow, or since the scale was doubled.
    """

    def __init__(self, xp):
        self.value = xp.full((), FIRST_SCALE, np.float32)
        self.overflow, self.steps_without = xp.zeros((), np.int32), xp.zeros((), np.int32)

    def unscale(self, gradient):
        """Divide a flat gradient by the scale, in place, and note in `overflow` whether it is all finite."""
        kernels.unscale(kernels.cuda_module(), gradient, self.value, self.overflow)

    def adapt(self):
        """Choose the scale of the next step, and forget the overflow of this one."""
        args = self.value, self.steps_without, self.overflow
        kernels.adapt_scale(kernels.cuda_module(), *args, GROWTH_INTERVAL, LARGEST_SCALE)


def loss_scale_for(device):
    """A new LossScale where a device multiplies matrices as float16 (backend.use_precision), else None."""
    xp = backend.device_module(device)
    return LossScale(xp) if xp is not np and backend.precision == "float16" else None


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with the defaults of Gao and Wang (2019).

    Args:
        loss_scale: a LossScale, for parameters on a GPU; then loss.backward() must start from `loss_gradient`.
    """

    state_names = ("mean", "square")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, loss_scale=None):
        super().__init__(parameters, lr)
        if loss_scale and not backend.suits_kernels(self.flat):
            raise ValueError("loss scaling is for float32 parameters on a GPU: leave loss_scale out")
        self.betas, self.eps, self.loss_scale = betas, eps, loss_scale
        # for update_cuda
        self.rates = self.xp.empty(2, np.float32)
        self.overflow = loss_scale.overflow if loss_scale else self.xp.zeros((), np.int32)

    @property
    def loss_gradient(self):
        """What loss.backward() is to start from: the loss scale, or None, which means 1."""
        return self.loss_scale.value if self.loss_scale else None

    def update(self, p, g, mean, square):
        xp, (beta1, beta2) = self.xp, self.betas
        mean *= beta1
        mean += (1 - beta1) * g
        term = g * g
        term *= 1 - beta2
        square *= beta2
        square += term
        # the bias corrections are two numbers, here put into eps and the step size:
        # (mean / a) / (sqrt(square) / b + eps) = (mean * b / a) / (sqrt(square) + eps * b)
        a, b = 1 - beta1**self.steps, math.sqrt(1 - beta2**self.steps)
        xp.sqrt(square, out=term)
        term += self.eps * b
        xp.divide(mean, term, out=term)
        term *= self.lr * b / a
        p -= term

    def advance(self):
        """Count, and tell the kernel the two numbers that change from step to step.

        So written, no array is copied to the GPU, and nobody waits. Nor for whether a step was left out after an
        overflow: `steps` counts it too, and the bias corrections are nearer to 1 than they would be without it.
        """
        super().advance()
        if backend.suits_kernels(self.flat):
            beta1, beta2 = self.betas
            self.rates[0] = self.lr / (1 - beta1**self.steps)
            self.rates[1] = 1 / math.sqrt(1 - beta2**self.steps)

    def update_cuda(self, p, g, mean, square):
        """One kernel."""
        if self.loss_scale:
            self.loss_scale.unscale(g)
        kernels.adam(kernels.cuda_module(), p, g, mean, square, self.rates, self.overflow, self.betas, self.eps)
        if self.loss_scale:
            self.loss_scale.adapt()

    def state_dict(self):
        """Return the moments and the loss scale (copies, NumPy) and the step count."""
        scale = {name: np.array(backend.to_numpy(array)) for name, array in self.scale_arrays().items()}
        return super().state_dict() | scale

    def load_state_dict(self, state):
        """Take moments, loss scale and step count from state_dict()."""
        super().load_state_dict(state)
        for name, array in self.scale_arrays().items():
            array[...] = self.xp.asarray(state[name])

    def scale_arrays(self):
        """What a checkpoint must hold of the loss scale: name -> array."""
        if self.loss_scale is None:
            return {}
        return {"loss_scale": self.loss_scale.value, "steps_without_overflow": self.loss_scale.steps_without}


def cosine(lr, progress):
    """Half a cosine from lr down to 0 as progress goes from 0 to 1 (Loshchilov and Hutter, 2017)."""
    return lr * 0.5 * (1 + math.cos(math.pi * progress))


def step_decay(lr, progress, drops=(0.5, 0.75), factor=0.1):
    """lr, multiplied by `factor` when progress passes each of the `drops`."""
    return lr * factor ** sum(progress >= drop for drop in drops)
