"""Optimizers and schedules, against the papers' formulas written out."""

import math

import numpy as np
import pytest

from tinyhpe import ops, optim
from tinyhpe.nn.module import Parameter
from tinyhpe.tensor import Tensor


def make_parameters(rng):
    return [Parameter(rng.normal(size=shape)) for shape in [(3, 2), (4,), (1, 2, 2)]]


def test_adam_is_algorithm_1_of_kingma_and_ba():
    rng = np.random.default_rng(0)
    parameters = make_parameters(rng)
    expected = [p.data.copy() for p in parameters]
    adam = optim.Adam(parameters, lr=0.01)
    m, v = [0.0] * 3, [0.0] * 3
    for t in range(1, 6):
        for i, p in enumerate(parameters):
            g = p.grad = rng.normal(size=p.shape)
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            expected[i] = expected[i] - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
        adam.step()
    for p, want in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p.data, want, rtol=1e-12)


def test_sgd_with_momentum_and_weight_decay_is_torchs_formula():
    rng = np.random.default_rng(0)
    parameters = make_parameters(rng)
    expected, velocity = [p.data.copy() for p in parameters], [0.0] * 3
    sgd = optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(4):
        for i, p in enumerate(parameters):
            p.grad = rng.normal(size=p.shape)
            velocity[i] = 0.9 * velocity[i] + p.grad + 0.01 * expected[i]
            expected[i] = expected[i] - 0.1 * velocity[i]
        sgd.step()
    for p, want in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p.data, want, rtol=1e-12)


def test_a_restored_optimizer_goes_on_as_if_nothing_had_happened():
    def run(interrupted):
        rng = np.random.default_rng(0)
        parameters = make_parameters(rng)
        adam = optim.Adam(parameters)
        for step in range(6):
            if interrupted and step == 3:
                state, adam = adam.state_dict(), optim.Adam(parameters)
                adam.load_state_dict(state)
            for p in parameters:
                p.grad = rng.normal(size=p.shape)
            adam.step()
        return [p.data.tobytes() for p in parameters]

    assert run(interrupted=True) == run(interrupted=False)


def stepped(kind, *shapes):
    """An optimizer of ones, after one step."""
    optimizer = kind([Parameter(np.ones(shape)) for shape in shapes])
    for parameter in optimizer.parameters:
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    return optimizer


def test_a_state_takes_the_place_of_all_that_was_there_before():
    fresh, used = optim.SGD([Parameter(np.ones(2))]), stepped(optim.SGD, 2)
    used.load_state_dict(fresh.state_dict())
    assert used.state_dict().keys() == {"steps"}


@pytest.mark.parametrize("other", [stepped(optim.Adam, 2), stepped(optim.SGD, 1), stepped(optim.SGD, 2, 2)])
def test_the_state_of_another_optimizer_is_refused(other):
    sgd = stepped(optim.SGD, 2)
    with pytest.raises(ValueError, match="the state of another optimizer"):
        sgd.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(sgd.state_dict()["0.velocity"], 1)  # untouched


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_gradients_and_moments_that_are_matrices_count_element_by_element():
    values, moved = np.array([[1.0, 2.0], [3.0, 4.0]]), []
    for make in np.array, np.matrix:
        weight = Parameter(np.ones((2, 2)))
        adam = optim.Adam([weight])
        for _ in range(2):
            weight.grad = make(values)
            adam.step()
            adam.load_state_dict({name: make(a) if a.ndim else a for name, a in adam.state_dict().items()})
        moved.append(weight.data)
    np.testing.assert_array_equal(*moved)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_float16_parameters_move_as_float32_ones_do(kind):
    moved = []
    for dtype in np.float16, np.float32:
        weight = Parameter(np.ones(4, dtype))
        optimizer = kind([weight], lr=1e-2)
        for gradient in [0.0, 300.0, 1e-5, 2.0], [0.0, 3.0, 1e-5, -2.0]:  # squares beyond float16, and below it
            weight.grad = np.array(gradient, dtype)
            optimizer.step()
        moved.append(weight.data)
    np.testing.assert_allclose(moved[0], moved[1], rtol=3e-3, atol=2e-3)


def test_training_moves_the_tensors_that_the_model_holds_and_leaves_frozen_ones():
    weight, frozen = Parameter(np.zeros((2, 1))), Parameter(np.ones((1,)))
    frozen.requires_grad = False
    sgd = optim.SGD([weight, frozen], lr=0.1, momentum=0.0)
    x, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0], [4.0]])
    for _ in range(400):
        sgd.zero_grad()
        ops.mse(Tensor(x) @ weight + frozen, y).backward()
        sgd.step()
    np.testing.assert_allclose(weight.data, [[0.0], [1.5]], atol=1e-9)
    np.testing.assert_array_equal(frozen.data, [1.0])


def test_an_optimizer_without_parameters_says_so():
    frozen = Parameter(np.ones(1))
    frozen.requires_grad = False
    with pytest.raises(ValueError, match="nothing to train"):
        optim.SGD([frozen])


def test_schedules_start_at_lr_and_decrease():
    assert optim.cosine(0.1, 0.0) == 0.1
    assert optim.cosine(0.1, 0.5) == pytest.approx(0.05)
    assert optim.cosine(0.1, 1.0) == 0.0
    assert optim.cosine(0.1, 1 / 3) == pytest.approx(0.05 * (1 + math.cos(math.pi / 3)))
