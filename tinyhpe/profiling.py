"""What a training step costs: the time and the memory of each kind of operation.

    with profile() as costs:
        loss = ((network(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    print(costs)

The first step takes longer than others, so profile a later one.
"""

import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field

from tinyhpe.ways import watcher

COLUMNS = ("forward", "backward", "update")  # the functions that are timed, of ops and optimizers


@dataclass
class Cost:
    """Of one kind of operation, done in one way."""

    calls: int = 0
    seconds: dict = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0.0))
    kept_bytes: int = 0  # of new arrays: the results, and what is kept for backward

    @property
    def total(self):
        return sum(self.seconds.values())


class Costs(defaultdict):
    """name -> Cost, where the name is that of the op, and of the quicker way that was taken. str() is a table.

    Attributes:
        seconds: from the beginning of profile() to its end. The tape and the loop take some of it, too.
    """

    def __init__(self):
        super().__init__(Cost)
        self.seconds = 0.0

    def watch(self, doer, way):
        plain = type(doer).__name__
        return TimedWay(way, self[plain if way is type(doer) else f"{plain}, by {way.__name__}"])

    def __str__(self):
        lines = [f"{'milliseconds':28}{'calls':>6}" + "".join(f"{c:>10}" for c in COLUMNS) + "   share  MB kept"]
        for name, cost in sorted(self.items(), key=lambda item: -item[1].total):
            times = "".join(f"{1000 * seconds:10.2f}" for seconds in cost.seconds.values())
            share = cost.total / self.seconds
            lines.append(f"{name:28}{cost.calls:6}{times}{share:8.0%}{cost.kept_bytes / 1e6:9.2f}")
        rest = self.seconds - sum(cost.total for cost in self.values())
        return "\n".join([*lines, f"all else: {1000 * rest:.2f} of {1000 * self.seconds:.2f} milliseconds"])


class TimedWay:
    """Stands in for a way: does what that does, and notes what it costs."""

    def __init__(self, way, cost):
        self.way, self.cost = way, cost

    def __getattr__(self, name):
        work = getattr(self.way, name)
        if name not in COLUMNS:
            return work

        def timed(doer, *args, **state):
            started = time.perf_counter()
            result = work(doer, *args, **state)
            self.cost.seconds[name] += time.perf_counter() - started
            if name != "backward":
                self.cost.calls += 1
            if name == "forward":
                self.cost.kept_bytes += new_bytes([result, *vars(doer).values()], args)
            return result

        return timed


def memory(values):
    """The memory of the arrays among some values: where it is -> bytes. Views share that of their base."""
    arrays = [value for value in values if hasattr(value, "nbytes")]
    return {id(base): base.nbytes for base in (a if a.base is None else a.base for a in arrays)}


def new_bytes(values, inputs):
    """How much memory the values have, without that of the inputs."""
    old = memory(inputs)
    return sum(size for place, size in memory(values).items() if place not in old)


@contextlib.contextmanager
def profile():
    """Give the block its Costs, complete when it ends. (On a GPU: the time until Python may go on.)"""
    costs = Costs()
    token, started = watcher.set(costs.watch), time.perf_counter()
    try:
        yield costs
    finally:
        costs.seconds = time.perf_counter() - started
        watcher.reset(token)
