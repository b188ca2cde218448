"""Adam on a GPU: one kernel for each parameter."""

import math

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda.launch import CudaWay, check, launch, launch_each


class StepNumbers:
    """What changes from one step of Adam to the next, in the GPU's memory: a recorded kernel finds it there.

    Attributes:
        rates: (2,) float32, lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t) of step t = 1, 2, ...
        overflow: () int32; where it is not 0, a step changes nothing. See unscale().
    """

    def __init__(self, xp):
        self.rates, self.overflow, self.known = xp.empty(2, np.float32), xp.zeros((), np.int32), None

    def tell(self, adam, step):
        """Set the rates of a step of an Adam, if they are not set. So written, nobody waits for the GPU."""
        beta1, beta2 = adam.betas
        rates = adam.lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
        if rates != self.known:
            self.rates[0], self.rates[1] = rates
            self.known = rates


def step_numbers(adam, xp):
    """The StepNumbers of an optimizer."""
    if not hasattr(adam, "numbers"):
        adam.numbers = StepNumbers(xp)
    return adam.numbers


class CudaAdam(CudaWay):
    """A way of Adam's update()."""

    def suits(adam, xp, p, g):
        return CudaWay.suits(adam, xp, p) and p.flags.c_contiguous

    def update(adam, p, g, mean, square):
        xp = backend.array_module(p)
        numbers, g = step_numbers(adam, xp), xp.ascontiguousarray(g)
        numbers.tell(adam, adam.steps)
        check(np.float32, p.shape, p=p, g=g, mean=mean, square=square)
        beta1, beta2 = map(float, adam.betas)
        settings = p.size, beta1, 1 - beta1, beta2, 1 - beta2, float(adam.eps)
        launch_each("adam", p.size, p, g, mean, square, numbers.rates, numbers.overflow, *settings)


def unscale(gradient, scale, overflow):
    """Divide a gradient by scale (), in place; overflow, () int32, becomes 1 if it is not all finite.

    scale and overflow are in the GPU's memory, too.
    """
    check(np.float32, gradient.shape, gradient=gradient)
    launch_each("unscale", gradient.size, gradient, scale, overflow, gradient.size)


def adapt_scale(scale, steps_without, overflow, growth_interval, largest):
    """Halve scale () after an overflow, double it after `growth_interval` steps without one; all in place.

    Args:
        steps_without: () int32, how many steps there have been since.
        overflow: () int32 from unscale(); it becomes 0.
        largest: beyond which the scale does not grow. Nor does it fall below 1.
    """
    launch("adapt_scale", (1,), (1,), scale, steps_without, overflow, growth_interval, float(largest))
