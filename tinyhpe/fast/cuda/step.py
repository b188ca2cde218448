"""A step of training as a GPU likes it: recorded as a CUDA graph, and in float16 with its loss scaled.

The step itself is written as for a CPU:

    def update(loss, optimizer, images, poses):
        losses = loss(images, poses)
        losses.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return losses.data

    step = Stepper(update, loss, optimizer)
    losses = step(images, poses)    instead of update(loss, optimizer, images, poses)
"""

import functools

import numpy as np

from tinyhpe import backend
from tinyhpe.fast.cuda.adam import CudaAdam, adapt_scale, step_numbers, unscale
from tinyhpe.fast.cuda.graph import CudaGraph
from tinyhpe.fast.cuda.precision import precision
from tinyhpe.ways import choose_way

FIRST_SCALE, LARGEST_SCALE = 2.0**16, 2.0**24  # powers of two: to multiply and divide by them rounds nothing
GROWTH_INTERVAL = 1000  # steps


class Stepper:
    """Calls update(loss, optimizer, *batch) for one batch after the other.

    Args:
        update: does a step of training and returns the losses, an array; what it does must be as CudaGraph says.
        loss: takes a batch of arrays on the GPU, all batches of the same shapes, and returns a tensor of losses.
        optimizer: an Adam.

    Attributes:
        scale: a LossScale where products are in float16, else None.

    Raises:
        ValueError: numbers of another optimizer would be recorded once for all, such as its learning rate.
    """

    def __init__(self, update, loss, optimizer):
        xp = backend.device_module("cuda")
        if any(choose_way(optimizer, xp, p.data, p.data) is not CudaAdam for p in optimizer.parameters):
            raise ValueError("a recorded step needs an Adam, and contiguous float32 parameters on the GPU")
        self.optimizer, self.numbers = optimizer, step_numbers(optimizer, xp)
        self.scale = LossScale(xp, update, loss, optimizer) if precision() == "float16" else None
        self.update = self.scale.update if self.scale else functools.partial(update, loss, optimizer)
        self.graph = CudaGraph(self.try_to_update)

    def __call__(self, *batch):
        """One step of training; returns the losses, where they were computed."""
        step = self.optimizer.steps + 1
        self.numbers.tell(self.optimizer, step)
        losses = self.graph(*batch)
        self.optimizer.steps = step  # a replayed step has run no Python
        return losses

    def try_to_update(self, *batch):
        """update(), but a recording that fails half-way leaves the optimizer as it was."""
        steps = self.optimizer.steps
        try:
            return self.update(*batch)
        except Exception:
            self.optimizer.steps = steps
            self.optimizer.zero_grad()
            raise


class LossScale:
    """Loss scaling for gradients that go through float16 (Micikevicius et al., 2018, section 3.2).

    What is below 6e-8 is 0 in float16. So the losses are multiplied by a large number, the scale, which makes all
    gradients that many times as large; step() divides them by it again. The scale finds its size by itself,
    as that of torch.amp.GradScaler: if it makes a gradient infinite, Adam leaves the step out, and the scale is
    halved; after GROWTH_INTERVAL steps in a row without, it is doubled.

    All three numbers are in the memory of the GPU and decided upon there: the program waits for none of them. Nor
    for whether a step was left out: Adam counts it too, and its bias corrections are nearer to 1 than without it.

    Attributes:
        value: () float32, the scale.
        overflow: () int32, 1 if a gradient of this step is infinite or NaN.
        steps_without: () int32, steps since the last overflow, or since the scale was doubled.
    """

    def __init__(self, xp, update, loss, optimizer):
        self.unscaled_update, self.unscaled_loss, self.optimizer = update, loss, optimizer
        self.value, self.steps_without = xp.full((), FIRST_SCALE, np.float32), xp.zeros((), np.int32)
        self.overflow = step_numbers(optimizer, xp).overflow

    def update(self, *batch):
        """The step of training, which is given this object in place of the optimizer."""
        self.unscaled_update(self.loss, self, *batch)
        return self.losses

    def loss(self, *batch):
        """The scaled losses; as they are they are noted."""
        losses = self.unscaled_loss(*batch)
        self.losses = losses.data
        return losses * self.value

    def step(self):
        """Unscale the gradients, let the optimizer use them, and choose the scale of the next step."""
        for parameter in self.optimizer.parameters:
            if parameter.grad is not None:
                parameter.grad = backend.array_module(parameter.grad).ascontiguousarray(parameter.grad)
                unscale(parameter.grad, self.value, self.overflow)
        self.optimizer.step()
        adapt_scale(self.value, self.steps_without, self.overflow, GROWTH_INTERVAL, LARGEST_SCALE)

    def zero_grad(self):
        """As of an optimizer."""
        self.optimizer.zero_grad()

    def state_dict(self):
        """What a checkpoint must hold (NumPy)."""
        arrays = {"value": self.value, "steps_without": self.steps_without}
        return {name: np.array(backend.to_numpy(array)) for name, array in arrays.items()}

    def load_state_dict(self, state):
        """Take what state_dict() gave."""
        for name, array in state.items():
            getattr(self, name)[...] = backend.to_device(array, "cuda")
