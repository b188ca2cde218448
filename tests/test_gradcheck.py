"""The gradient checker itself: what it must see, and what it must say."""

import numpy as np
import pytest

from tinyhpe import ops
from tinyhpe.checks import check_op
from tinyhpe.gradcheck import GradientError, finite_differences, gradcheck
from tinyhpe.tensor import Op, Sample, Tensor, apply

X = np.array([[0.5, -1.0], [2.0, 0.3]])


def planted(forward, backward, analytic=True):
    """An op class of forward(x) and backward(x, g), which no other test meets."""

    class Planted(Op):
        @staticmethod
        def samples(rng):
            yield Sample((X,), analytic=analytic)

        def forward(self, xp, x):
            self.x = x
            return forward(x)

        def backward(self, xp, g):
            return (backward(self.x, g),)

    del Op.registry["Planted"]
    return Planted


def wrong_square(backward):
    """x * x with the given backward(x, g)."""
    return lambda x: apply(planted(lambda x: x * x, backward)(), x)


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


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (lambda x: ops.exp(1000.0 * x), 1e-3, 1000 * np.e),
        (ops.log, 2e-4, 5000.0),
        (lambda x: ops.sigmoid(1e4 * x), 1e-5, 1e4 / (np.exp(0.05) + np.exp(-0.05)) ** 2),
        (lambda x: x**3, 0.0, 0.0),
    ],
)
def test_a_steep_curve_is_no_kink(function, x, slope):
    got = finite_differences(lambda arrays: function(Tensor(arrays[0])).data, [np.array([x])], 0, np.ones(1))
    np.testing.assert_allclose(got, slope, rtol=1e-8)
    gradcheck(function, np.array([x]))


def test_a_kink_in_a_steep_curve_is_a_kink():
    with pytest.raises(GradientError, match="kink"):
        gradcheck(lambda x: ops.exp(1000.0 * x) + ops.absolute(500.0 * x), np.array([0.0]))
    with pytest.raises(GradientError, match="kink or a jump"):
        gradcheck(lambda x: apply(planted(np.sign, lambda x, g: 0 * g)(), x), np.array([0.0]))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_an_error_of_a_millionth_is_seen_in_small_and_in_large_gradients(scale):
    def scaled(error):
        return planted(lambda x: scale * x * x, lambda x, g: scale * 2 * x * g * (1 + error))

    assert gradcheck(lambda x: apply(scaled(0)(), x), X) < 1e-9
    with pytest.raises(GradientError, match="wrong at element"):
        gradcheck(lambda x: apply(scaled(1e-6)(), x), X)


def test_a_value_that_is_not_finite_is_not_called_a_kink():
    with np.errstate(invalid="ignore"), pytest.raises(GradientError, match="into its domain"):
        gradcheck(ops.log, X)


def through_float16(x):
    return x.astype(np.float16).astype(x.dtype)


@pytest.mark.parametrize(
    ("forward", "backward", "report"),
    [
        (lambda x: (x + 1e4) - 1e4, lambda x, g: g, "in float32 the value .* as rounding explains"),
        (lambda x: through_float16(x) if x.dtype == np.float32 else x, lambda x, g: g, "in float32 the value"),
        (lambda x: x * x, lambda x, g: ((x + 1e4) - 1e4) * g * 2, "in float32 the gradient of input 0"),
        (lambda x: x * np.sqrt(2), lambda x, g: g * np.sqrt(2), "float32 went in, float64 came out"),
        (lambda x: x * 2, lambda x, g: g * np.array([2.0]), "float32 and float64|for a tensor of .* float32"),
        (np.abs, lambda x, g: g * np.sign(x), "by the complex step"),
        (lambda x: x * 2, lambda x, g: np.multiply(g, 2, out=g), "changed one of its inputs or its cotangent"),
        (
            lambda x: x * 2 if x.flags.c_contiguous else x * 3,
            lambda x, g: g * (2 if x.flags.c_contiguous else 3),
            "by contiguous input",
        ),
    ],
)
def test_check_op_sees_a_broken_promise(forward, backward, report):
    with pytest.raises((GradientError, ValueError), match=report):
        check_op(planted(forward, backward))


@pytest.mark.parametrize(
    ("forward", "backward", "report"),
    [
        (lambda op, xp, x: 3 * x, lambda op, xp, g: (3 * g,), r"Way.*value differs from the plain op's by 0\.5"),
        (lambda op, xp, x: 2 * x, lambda op, xp, g: (3 * g,), r"(?s)Way.*expected .* by central differences"),
        (lambda op, xp, x: 2 * x, lambda op, xp, g: (2 * g.ravel(),), r"shape \(4,\) and float64 for a tensor of"),
    ],
)
def test_check_op_sees_that_a_quicker_way_is_another_function(monkeypatch, forward, backward, report):
    class Way:
        suits, forward, backward = (lambda *_: True), (lambda *_: None), (lambda *_: None)

    Way.forward, Way.backward = forward, backward
    op_class = planted(lambda x: 2 * x, lambda x, g: 2 * g)
    op_class.ways = (Way,)
    check_op(op_class)
    with pytest.raises((GradientError, ValueError), match=report):
        check_op(op_class, Way)
    Way.suits = lambda *_: False
    with pytest.raises(ValueError, match="no sample of Planted suits Way"):
        check_op(op_class, Way)


def test_check_op_records_the_largest_error_of_each_check():
    cube = check_op(planted(lambda x: x * x * x, lambda x, g: 3 * x * x * g * (1 + 1e-11)))
    assert list(cube) == ["central differences", "complex step", "float32", "float16", "layout"]
    assert cube["complex step"] == pytest.approx(1e-11, rel=1e-3)
    assert 1e-12 < cube["central differences"] < 1e-10
    assert 0 < cube["float32"] < 1
    assert cube["layout"] == 0
    assert "complex step" not in check_op(ops.elementwise.ReLU)


def test_float32_inputs_are_refused_with_the_reason():
    with pytest.raises(TypeError, match="rounding"):
        gradcheck(ops.exp, np.ones(2, np.float32))
