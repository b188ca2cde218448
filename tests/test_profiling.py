"""profile(): what is timed, what is counted, and that nothing else changes."""

import time

import numpy as np
import pytest

from tinyhpe import Tensor, optim
from tinyhpe.ops.elementwise import Multiply
from tinyhpe.profiling import profile


class Slow:
    """A way of Multiply that takes its time, 10 ms forward and 20 back, and keeps a megabyte."""

    def suits(op, xp, a, b):
        return True

    def forward(op, xp, a, b):
        time.sleep(0.01)
        op.spare, op.view = np.empty(1_000_000, np.uint8), a[:1]
        return Multiply.forward(op, xp, a, b)

    def backward(op, xp, g):
        time.sleep(0.02)
        return Multiply.backward(op, xp, g)


def step(weight):
    optimizer, x = optim.SGD([weight], lr=0.5), np.arange(1000.0)
    loss = (weight * x * 2.0).reshape(10, 100).sum()
    loss.backward()
    optimizer.step()
    return weight.data


def test_time_and_memory_are_those_of_each_op_and_way_and_the_step_is_the_same(monkeypatch):
    expected = step(Tensor(np.ones(1000), requires_grad=True))
    monkeypatch.setattr(Multiply, "ways", (Slow,))
    with profile() as costs:
        result = step(Tensor(np.ones(1000), requires_grad=True))
    np.testing.assert_array_equal(result, expected)
    slow = costs["Multiply, by Slow"]
    assert {name: cost.calls for name, cost in costs.items()} == {
        "Multiply, by Slow": 2,
        "Reshape": 1,
        "Sum": 1,
        "SGD": 1,
    }
    assert slow.seconds["forward"] >= 0.02
    assert slow.seconds["backward"] >= 0.04
    assert costs.seconds >= sum(cost.total for cost in costs.values()) >= slow.total >= 0.06
    assert slow.kept_bytes == 2 * (1_000_000 + 8 * 1000)  # the inputs and views of them are nothing new
    assert costs["Reshape"].kept_bytes == 0
    table = str(costs).splitlines()
    assert table[1].split()[:4] == ["Multiply,", "by", "Slow", "2"]
    assert table[1].endswith("2.02")
    step(Tensor(np.ones(1000), requires_grad=True))  # outside nothing is watched any more
    assert slow.calls == 2


def test_an_error_inside_ends_the_watch():
    with pytest.raises(ValueError, match="broadcast"), profile() as costs:
        _ = Tensor(np.ones(2)) * np.ones(3)
    _ = Tensor(np.ones(2)) * np.ones(2)
    assert costs["Multiply"].calls == 0
