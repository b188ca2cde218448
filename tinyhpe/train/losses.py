"""The losses of a run, on their way from where they are computed to the history.

A GPU works through what the program orders, while the program goes on to order more. To look at a number, even
for the progress bar, the program must wait until the GPU has come that far, and then the GPU waits for orders. So
the losses stay where they are computed, and are looked at once every LOOK_EVERY steps.
"""

import math

from tinyhpe import backend
from tinyhpe.errors import InputError

LOOK_EVERY = {"cpu": 1, "cuda": 20}  # steps between two looks at the losses


class Losses:
    """The losses of the current epoch.

    Args:
        parts: the names of a step's losses.

    Attributes:
        sums: of each part, over the steps that were looked at.
        text: the last losses that were looked at, for the progress bar.
    """

    def __init__(self, parts, device):
        self.parts, self.device, self.unseen, self.text = parts, device, [], ""
        self.sums = dict.fromkeys(parts, 0.0)

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
            seen = dict(zip(self.parts, of_step, strict=True))
            if not all(map(math.isfinite, of_step)):
                raise InputError(f"training diverged: the loss is {seen}; start again with a smaller --lr")
            self.sums = {part: self.sums[part] + seen[part] for part in seen}
        self.text = " ".join(f"{part} {loss:.3f}" for part, loss in seen.items())

    def end_epoch(self, steps):
        """Return the mean losses of its steps, and begin the next one."""
        self.look()
        means = {part: total / steps for part, total in self.sums.items()}
        self.sums = dict.fromkeys(self.parts, 0.0)
        return means
