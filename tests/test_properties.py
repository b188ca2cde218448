"""What holds for every op and for any expression: dtypes, memory layouts, subsets of gradients, empty batches."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhpe import ops
from tinyhpe.checks import all_ops
from tinyhpe.tensor import Tensor, apply

SAMPLES = [
    (op_class, sample) for op_class in all_ops().values() for sample in op_class.samples(np.random.default_rng(0))
]
LAYOUTS = {
    "contiguous": lambda array: array,
    "columns first": lambda array: array.T.copy().T,
    "every second value": lambda array: np.repeat(array[..., None], 2, axis=-1)[..., 0],
    "backwards": lambda array: np.flip(np.flip(array).copy()),
}


def run(op_class, sample, arrays, needs, cotangent=None):
    """Apply the op to the arrays: (value, gradient or None for each)."""
    tensors = [Tensor(array, requires_grad=need) for array, need in zip(arrays, needs, strict=True)]
    output = apply(op_class(**copy.deepcopy(sample.settings)), *tensors)
    if any(needs):
        output.backward(np.ones_like(output.data) if cotangent is None else cotangent)
    return output.data, [tensor.grad for tensor in tensors]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_op_in_any_dtype_layout_and_subset_of_gradients_gives_the_same(data):
    op_class, sample = data.draw(st.sampled_from(SAMPLES))
    dtype = np.dtype(data.draw(st.sampled_from(["float16", "float32", "float64"])))
    arrays = [np.asarray(array, dtype) for array in sample.inputs]
    value, _ = run(op_class, sample, arrays, [False] * len(arrays))
    cotangent = np.random.default_rng(0).normal(size=value.shape).astype(dtype)
    _, gradients = run(op_class, sample, arrays, [True] * len(arrays), cotangent)

    needs = [data.draw(st.booleans()) for _ in arrays]
    *moved, moved_cotangent = [
        LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))](a) for a in [*arrays, cotangent]
    ]
    got_value, got = run(op_class, sample, moved, needs, moved_cotangent)
    assert got_value.dtype == value.dtype == dtype
    np.testing.assert_allclose(got_value, value, atol=20 * np.finfo(dtype).eps * np.abs(value).max())
    for need, gradient, expected in zip(needs, got, gradients, strict=True):
        assert (gradient is not None) == need
        if need:
            assert gradient.dtype == expected.dtype == dtype
            largest = np.abs(expected).max()
            np.testing.assert_allclose(gradient, expected, atol=20 * np.finfo(dtype).eps * largest)


def empty(*shape):
    return Tensor(np.zeros(shape, np.float32), requires_grad=True)


def full(*shape):
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


@pytest.mark.parametrize(
    ("function", "inputs", "shape"),
    [
        (lambda a, b: a * b - b / (a + 1.0), [empty(0, 3), full(3)], (0, 3)),
        (lambda x: ops.relu(ops.sigmoid(ops.exp(x))) ** 2, [empty(0, 3)], (0, 3)),
        (lambda x: ops.log(ops.absolute(x)), [empty(0)], (0,)),
        (lambda a, b: a @ b, [empty(0, 3), full(3, 2)], (0, 2)),
        (lambda a, b: a @ b, [empty(2, 0), empty(0, 4)], (2, 4)),
        (ops.linear, [empty(0, 3), full(3, 2), full(2)], (0, 2)),
        (lambda x: x.sum(axis=0), [empty(0, 3)], (3,)),
        (lambda x: x.mean(axis=1), [empty(0, 3)], (0,)),
        (lambda x: ops.max(x, axis=1), [empty(0, 3)], (0,)),
        (ops.log_softmax, [empty(0, 3)], (0, 3)),
        (lambda x: x[:, 1:2].transpose().reshape((-1, 2)), [empty(0, 2, 2, 3)], (0, 2)),
        (lambda a, b: ops.concatenate([a, b]), [empty(0, 3), full(2, 3)], (2, 3)),
        (lambda x, w: ops.conv2d(x, w, stride=1, padding=1), [empty(0, 4, 4, 2), full(3, 3, 2, 5)], (0, 4, 4, 5)),
        (lambda x, w: ops.conv2d(x, w, stride=2), [empty(0, 4, 4, 2), full(1, 1, 2, 5)], (0, 2, 2, 5)),
        (lambda x: ops.max_pool2d(x, 2, 2), [empty(0, 4, 4, 2)], (0, 2, 2, 2)),
        (lambda x: ops.avg_pool2d(x, 2, 2), [empty(0, 4, 4, 2)], (0, 2, 2, 2)),
        (ops.global_avg_pool, [empty(0, 4, 4, 2)], (0, 2)),
        (
            lambda x, g, b: ops.batch_norm(
                x, g, b, np.zeros(2, "f4"), np.ones(2, "f4"), training=False, relu=True
            ),
            [empty(0, 4, 4, 2), full(2), full(2)],
            (0, 4, 4, 2),
        ),
    ],
)
def test_an_empty_batch_goes_forward_and_back(function, inputs, shape):
    output = function(*inputs)
    assert output.shape == shape
    output.backward(np.ones(shape, np.float32))
    for tensor in inputs:  # what nothing came from has the gradient 0
        np.testing.assert_array_equal(tensor.grad, 1 if output.size and tensor.size else 0)


@pytest.mark.parametrize(
    "action",
    [
        lambda: empty(0, 3).mean(),
        lambda: empty(0, 3).mean(axis=0),
        lambda: ops.max(empty(0, 3), axis=0),
        lambda: empty(2, 0).max(axis=1),
        lambda: ops.mse(empty(0, 3), np.zeros((0, 3), np.float32)),
        lambda: ops.bce_with_logits(empty(0), np.zeros(0)),
        lambda: ops.cross_entropy(empty(0, 3), np.zeros(0, int)),
    ],
)
def test_what_has_no_answer_for_an_empty_batch_says_so(action):
    with pytest.raises(ValueError, match="is the batch empty"):
        action()


# each a function of two matrices, ours and NumPy's for complex numbers; both give a matrix of the same shape
STEPS = {
    "add": (lambda a, b: 0.5 * (a + b), lambda a, b: 0.5 * (a + b)),
    "subtract": (lambda a, b: 1 - (a - b), lambda a, b: 1 - (a - b)),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "divide": (lambda a, b: a / (b * b + 2.0), lambda a, b: a / (b * b + 2.0)),
    "matmul": (lambda a, b: 0.5 * (a @ b), lambda a, b: 0.5 * (a @ b)),
    "sigmoid": (lambda a, b: ops.sigmoid(a) - b, lambda a, b: 1 / (1 + np.exp(-a)) - b),
    "centre": (lambda a, b: a - b.mean(axis=0, keepdims=True), lambda a, b: a - b.mean(axis=0, keepdims=True)),
    "rows": (lambda a, b: a[np.array([1, 1])] + b[0], lambda a, b: a[[1, 1]] + b[0]),
    "turn": (lambda a, b: a.transpose() - b.reshape((4,)).reshape((2, 2)), lambda a, b: a.T - b),
    "join": (lambda a, b: ops.concatenate([a[:1], b[:1]]), lambda a, b: np.concatenate([a[:1], b[:1]])),
}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_random_expression_with_reused_parts_has_the_gradient_of_the_complex_step(data):
    leaves = [np.random.default_rng(number).uniform(-1, 1, (2, 2)) for number in range(2)]
    plan = []  # (step, place of a, place of b): both among the leaves and the results so far, often reused
    for length in range(2, 2 + data.draw(st.integers(1, 12))):
        place = st.integers(max(0, length - 4), length - 1)
        plan.append((data.draw(st.sampled_from(sorted(STEPS))), data.draw(place), data.draw(place)))

    def evaluate(values, which):
        values = list(values)
        for step, a, b in plan:
            values.append(STEPS[step][which](values[a], values[b]))
        return values[-1]

    tensors = [Tensor(leaf, requires_grad=True) for leaf in leaves]
    weights = np.random.default_rng(2).normal(size=(2, 2))
    (evaluate(tensors, 0) * weights).sum().backward()
    for number, tensor in enumerate(tensors):
        expected = np.empty((2, 2))
        for place in np.ndindex(2, 2):
            moved = [leaf.astype(complex) for leaf in leaves]
            moved[number][place] += 1e-20j
            expected[place] = (evaluate(moved, 1) * weights).sum().imag / 1e-20
        got = np.zeros((2, 2)) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12 * max(1, np.abs(expected).max()))
