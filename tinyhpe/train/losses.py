"""The losses of a run, on their way from where they are computed to the history.

A GPU works through what the program orders, while the program goes on to order more. To look at a number, even
for the progress bar, the program must wait until the GPU has come that far, and then the GPU waits for orders. So
the losses stay where they are computed, and are looked at once every LOOK_EVERY steps.
"""

import math

from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.pose.metrics import ANGLES

LOOK_EVERY = {"cpu": 1, "cuda": 20}  # steps between two looks at the losses


class Losses:
    """The losses of the current epoch.

    Attributes:
        sums: of each angle, over the steps that were looked at.
        text: the last losses that were looked at, for the progress bar.
    """

    def __init__(self, device):
        self.device, self.unseen, self.text = device, [], ""
        self.sums = dict.fromkeys(ANGLES, 0.0)

    def add(self, losses):
        """Note the losses of a step, (3,) on the device, and look at them if it is time to."""
        self.unseen.append(losses)
        if len(self.unseen) >= LOOK_EVERY[self.device]:
            self.look()

    def look(self):
        """Fetch the losses that nobody has looked at, in one go, and add them up; raises InputError for a NaN."""
        if not self.unseen:
            return
        values = backend.to_numpy(backend.array_module(*self.unseen).stack(self.unseen))
        self.unseen = []
        for of_step in values.tolist():
            seen = dict(zip(ANGLES, of_step, strict=True))
            if not all(map(math.isfinite, of_step)):
                raise InputError(f"training diverged: the loss is {seen}; start again with a smaller --lr")
            self.sums = {angle: self.sums[angle] + seen[angle] for angle in ANGLES}
        self.text = " ".join(f"{angle} {loss:.3f}" for angle, loss in seen.items())

    def end_epoch(self, steps):
        """Return the mean losses of its steps, and begin the next one."""
        self.look()
        means = {angle: total / steps for angle, total in self.sums.items()}
        self.sums = dict.fromkeys(ANGLES, 0.0)
        return means
