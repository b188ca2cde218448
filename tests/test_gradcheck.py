"""The gradient checker itself: what it must see, and what it must say."""

import numpy as np
import pytest

from tinyhpe import ops
from tinyhpe.gradcheck import GradientError, gradcheck
from tinyhpe.tensor import Op, Sample, apply

X = np.array([[0.5, -1.0], [2.0, 0.3]])


def wrong_square(backward):
    """x * x with the given backward(x, g)."""

    class WrongSquare(Op):
        @staticmethod
        def samples(rng):
            yield Sample((X,))

        def forward(self, xp, x):
            self.x = x
            return x * x

        def backward(self, xp, g):
            return (backward(self.x, g),)

    del Op.registry["WrongSquare"]
    return lambda x: apply(WrongSquare(), x)


def test_a_right_gradient_passes():
    gradcheck(wrong_square(lambda x, g: 2 * x * g), X)
    gradcheck(lambda a, b: ops.exp(a @ b).sum(axis=0), X, X)


@pytest.mark.parametrize(
    ("backward", "hint"),
    [
        (lambda x, g: 2 * x, "does not depend on the incoming gradient"),
        (lambda x, g: 0 * g, "zero everywhere"),
        (lambda x, g: -2 * x * g, "of the wrong sign"),
        (lambda x, g: 4 * x * g, "doubled"),
        (lambda x, g: x * g, "halved"),
        (lambda x, g: (2 * x * g).T.copy(), "right values in the wrong places"),
        (lambda x, g: 2 * x * g * np.nan, "NaN"),
        (lambda x, g: 2 * x * g + 1e-5, "by hand"),
    ],
)
def test_a_wrong_gradient_is_reported_with_its_place_and_usual_cause(backward, hint):
    with pytest.raises(GradientError, match=rf"(?s)input 0 is wrong at element \(.*expected .*{hint}"):
        gradcheck(wrong_square(backward), X)


@pytest.mark.parametrize("x", [0.0, 4e-4, -2e-4])
def test_a_kink_is_reported_as_a_kink(x):
    with pytest.raises(GradientError, match="kink"):
        gradcheck(ops.relu, np.array([x, 1.0]))


def test_float32_inputs_are_refused_with_the_reason():
    with pytest.raises(TypeError, match="rounding"):
        gradcheck(ops.exp, np.ones(2, np.float32))
