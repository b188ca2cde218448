"""Tensor.graph(): boxes, arrows, and gradients that are shown no earlier than they come."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tinyhpe import Tensor
from tinyhpe.graph import gradients_after


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def make():
    """w * x + b, squared and summed, with w = 3, b = -1."""
    w, b = (Tensor(np.array([value]), requires_grad=True) for value in (3.0, -1.0))
    error = w * np.array([2.0]) + b
    return w, b, (error * error).sum()


def boxes(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_a_gradient_appears_when_its_step_is_done_and_not_before():
    texts = boxes(make()[2].graph(steps=2))
    assert sorted(text.split("\n")[0] for text in texts) == sorted(
        ["Sum", "Multiply", "Add", "Multiply", "leaf", "leaf", "constant"]
    )
    by_end = {text: "no grad yet" in text for text in texts}
    assert sum(by_end.values()) == 3  # the product w * x, w and b
    assert "Add\n(1,)\ndata 5\ngrad 10" in texts  # used twice: 5 + 5
    assert not any("no grad yet" in text for text in boxes(make()[2].graph()))


def test_drawing_changes_nothing_and_shows_what_backward_will_give():
    w, b, loss = make()
    gradients = gradients_after(loss, None)
    assert (gradients[w].item(), gradients[b].item()) == (20.0, 10.0)  # 2 * 5 * 2 and 2 * 5, by hand
    assert (w.grad, b.grad) == (None, None)
    loss.backward()
    assert (w.grad.item(), b.grad.item()) == (20.0, 10.0)
    with pytest.raises(RuntimeError, match="draw before"):
        loss.graph()


def test_inputs_stand_to_the_left_and_a_long_chain_is_no_trouble():
    x = Tensor(np.ones(2), requires_grad=True)
    y = x
    for _ in range(40):
        y = y + x
    figure = y.graph()
    place = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts if text.get_text()}
    assert place["leaf\n(2,)\ndata ~1\ngrad ~41"] == min(place.values()) == 0
