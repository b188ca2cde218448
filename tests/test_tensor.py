"""The tape: order, memory, errors."""

import copy
import gc
import threading
import time
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyhpe import backend, ops
from tinyhpe.methods.siamese import pairwise_same_loss
from tinyhpe.nn.layers import BatchNorm2d
from tinyhpe.nn.module import Parameter
from tinyhpe.optim import SGD
from tinyhpe.tensor import Op, Sample, Tensor, apply, no_grad


def leaf(values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def test_a_chain_of_100000_nodes_needs_no_recursion():
    x = y = leaf(1.0)
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0


def test_a_chain_of_1000_diamonds_takes_linear_time():
    x = y = leaf(1.0)
    for _ in range(1000):
        y = y * 0.5 + y * 0.5  # 2^1000 paths
    started = time.perf_counter()
    y.backward()
    assert x.grad == 1.0
    assert time.perf_counter() - started < 2


def test_a_tensor_used_twice_gets_the_sum_of_both_gradients():
    x = leaf([1.0, 2.0])
    (x * x + x).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])


def test_a_second_backward_adds_to_the_gradient():
    x = leaf([1.0, 2.0])
    for _ in range(2):
        (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [6.0, 6.0])


def test_a_number_becomes_float32_and_a_numpy_scalar_keeps_its_dtype():
    assert (Tensor(0.5).dtype, Tensor([1, 2]).dtype) == (np.float32, np.float32)
    assert (Tensor(np.float64(0.5)).dtype, Tensor(np.float64(0.5)).shape) == (np.float64, ())
    assert (Tensor(np.array([1, 2])) + 1).dtype == np.int64
    assert (leaf([0.1]) + 0.1).data == 0.1 + 0.1  # not 0.1 rounded to float32


class Silent:
    """A way of any op of two inputs: no gradient for either."""

    def backward(op, xp, g):
        return None, None


def test_where_an_op_gives_no_gradient_nothing_behind_it_gets_one():
    x = leaf([1.0, 2.0])
    doubled = 2.0 * x
    doubled.op.way = Silent
    (doubled + x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    sealed = x * 3.0
    behind = sealed * sealed
    behind.op.way = Silent
    behind.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    assert sealed.op.inputs  # not released: its backward was never asked


def test_two_leaves_never_share_one_gradient_array():
    a, b = leaf([1.0]), leaf([2.0])
    (a + b).sum().backward()
    a.grad *= 0
    assert b.grad == 1.0


def test_the_seed_gradient_is_not_changed():
    x, seed = leaf([1.0, 2.0]), np.array([1.0, 1.0])
    (x + x).backward(seed)
    np.testing.assert_array_equal(seed, [1.0, 1.0])


def test_constants_get_no_gradient_and_their_half_of_backward_is_not_computed():
    x, constant = leaf([[1.0, 2.0]]), Tensor(np.ones((2, 2)))
    product = x @ constant
    assert product.op.needs == (True, False)
    product.sum().backward()
    assert constant.grad is None


def test_nothing_is_recorded_under_no_grad():
    x = leaf([1.0])
    with no_grad():
        y = x * 2.0
    assert y.op is None
    assert not y.requires_grad
    assert (x * 2.0).requires_grad


def test_a_graph_has_no_reference_cycles_and_dies_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones((4, 4)))
        y = ops.relu(x @ x).sum()
        middle = weakref.ref(y.op.inputs[0])
        del y
        assert middle() is None
        y = ops.relu(x @ x).sum()
        y.backward()
        del y, x
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_goes_down_while_backward_proceeds():
    alive, seen = [], []

    class Probe(Op):
        @staticmethod
        def samples(rng):
            yield Sample((rng.normal(size=2),))

        def forward(self, xp, x):
            return x + 1

        def backward(self, xp, g):
            seen.append(sum(ref() is not None for ref in alive))
            return (g,)

    try:
        y = leaf([1.0, 2.0])
        for _ in range(5):
            y = apply(Probe(), y)
            alive.append(weakref.ref(y))
        y = y.sum()
        y.backward()
        assert seen == [5, 4, 3, 2, 1]  # each step frees the tensor that it came from
    finally:
        del Op.registry["Probe"]


def test_an_op_without_samples_is_refused():
    with pytest.raises(TypeError, match=r"no samples\(\)"):
        type("Unchecked", (Op,), {})


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: (leaf([1.0, 2.0]) * 2.0).backward(), RuntimeError, r"use sum\(\) or mean\(\) first"),
        (lambda: Tensor([1.0]).backward(), RuntimeError, "requires_grad=True"),
        (lambda: leaf([1.0, 2.0]).backward(np.ones(3)), ValueError, r"shape \(3,\)"),
        (lambda: leaf([1.0]).backward(np.ones(1, np.float32)), ValueError, "and float32"),
        (lambda: leaf([1.0]) + leaf([1.0], np.float32), TypeError, "float32 and float64"),
        (lambda: leaf([1.0], np.float32) + np.ones(1), TypeError, "float32 and float64"),
        (lambda: Tensor(np.array([1, 2]), requires_grad=True), TypeError, "floating-point"),
        (lambda: Tensor(np.array([1, 2])) + 0.5, TypeError, "never mixed silently"),
        (lambda: ops.mse(leaf([[1.0], [2.0]]), np.ones(2)), ValueError, "they must be equal"),
        (lambda: ops.cross_entropy(leaf([[1.0, 2.0]]), np.array([-1])), ValueError, "from 0 to K - 1"),
        (lambda: leaf([[1.0]]) @ leaf([[1.0], [2.0]]), ValueError, "reshape or transpose"),
        (lambda: leaf([1.0]) ** leaf([2.0]), TypeError, "plain number"),
        (lambda: leaf([1.0]).sum(axis=1), ValueError, "axis 1"),
    ],
)
def test_a_mistake_is_answered_with_what_why_and_how_to_mend_it(action, error, message):
    with pytest.raises(error, match=message):
        action()


def add_one(array):
    array += 1


def set_one_value(array):
    array[1, 0] = 7


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.transpose, lambda array: array[::-1, ::2]])
@pytest.mark.parametrize(("size", "change"), [(16, set_one_value), (400, add_one)])
def test_an_array_changed_in_place_before_backward_is_named(size, layout, change):
    x = Tensor(layout(np.ones((size, size))), requires_grad=True)
    y = ops.log(x).sum()
    change(x.data)
    with pytest.raises(RuntimeError, match=r"(?s)Log kept .* 'x' of shape .* in place since.*a new array"):
        y.backward()


def test_an_optimizer_step_before_backward_is_told_to_come_after():
    weight = Parameter(np.ones((3, 2)))
    sgd = SGD([weight])
    losses = [ops.mse(Tensor(np.ones((4, 3))) @ weight, np.zeros((4, 2))) for _ in range(2)]
    losses[0].backward()
    sgd.step()
    with pytest.raises(
        RuntimeError, match=r"MatMul .* 'b' of shape \(3, 2\).* optimizer\.step\(\) after loss\.backward\(\)"
    ):
        losses[1].backward()


def test_what_backward_does_not_need_may_change():
    x, mean, variance = leaf([[1.0], [2.0]]), np.zeros(1), np.ones(1)
    y = ops.batch_norm(x + 1.0, np.ones(1), np.zeros(1), mean, variance, training=True)
    x.data += 1  # a sum keeps no array
    mean += 1  # running statistics are for evaluation
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 0, atol=1e-12)


def test_watching_a_large_array_copies_a_few_values_only():
    array = np.ones((2000, 2000)).transpose()
    tracemalloc.start()
    backend.fingerprint(array)
    assert tracemalloc.get_traced_memory()[1] < 20_000
    tracemalloc.stop()


def test_backward_on_a_released_graph_says_so():
    x = leaf([1.0])
    shared = x * 2.0
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="released by an earlier backward"):
        shared.sum().backward()


def pretend_gpu(monkeypatch):
    """The GPU that lesson 1 pretends to have: NumPy, as strict as CuPy."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "lessons")
    from checks import pretend_gpu

    return pretend_gpu.pretend_gpu()


def test_a_tensor_and_a_network_go_to_the_gpu_and_back(monkeypatch):
    with pretend_gpu(monkeypatch) as cupy:
        monkeypatch.setattr(backend, "probe_cuda", lambda: (cupy, ""))
        x = leaf([1.0, 2.0]).to("cuda")
        assert isinstance(x.data, cupy.ndarray)
        assert x.requires_grad
        np.testing.assert_array_equal(x.numpy(), [1, 2])
        assert (x * 2.0).to("cpu").op is None  # a leaf: the graph stays behind
        norm = BatchNorm2d(2)
        before = norm.state_dict()
        norm.weight.grad = np.ones(2)
        norm.to("cuda")
        assert {type(norm.weight.data), type(norm.running_var)} == {cupy.ndarray}
        assert norm.weight.grad is None
        for name, array in norm.to("cpu").state_dict().items():
            np.testing.assert_array_equal(array, before[name])
        assert type(norm.running_var) is np.ndarray


def test_arrays_on_two_devices_are_refused_forward_and_backward(monkeypatch):
    with pretend_gpu(monkeypatch) as cupy:
        on_gpu, on_cpu = Tensor(cupy.asarray(np.ones(2)), requires_grad=True), leaf([1.0, 2.0])
        with pytest.raises(TypeError, match=r"two devices.*tensor\.to\('cpu'\)"):
            on_gpu * on_cpu
        with pytest.raises(TypeError, match="two devices"):
            (on_gpu * 2.0).backward(np.ones(2))
        product = on_gpu * on_gpu
        assert product.op.fingerprints == {}  # nothing is fetched from the GPU to watch it
        product.sum().backward()
        np.testing.assert_array_equal(on_gpu.grad.get(), [2, 2])


def test_a_backward_of_wrong_shape_or_count_is_named(monkeypatch):
    product = leaf([[1.0, 2.0]]) * leaf([[1.0], [2.0]])
    monkeypatch.setattr(type(product.op), "backward", lambda self, xp, g: (g, g))
    with pytest.raises(ValueError, match=r"Multiply\.backward\(\), input 0.*broadcast"):
        product.sum().backward()
    product = leaf([1.0]) * leaf([2.0])
    monkeypatch.setattr(type(product.op), "backward", lambda self, xp, g: (g,))
    with pytest.raises(TypeError, match="1 gradients for 2 inputs"):
        product.sum().backward()


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from([np.float16, np.float32, np.float64]))
def test_any_two_broadcastable_shapes_give_gradients_of_their_own_shape_and_dtype(data, dtype):
    full = data.draw(st.lists(st.integers(0, 3), max_size=4))
    shapes = [
        tuple(n if data.draw(st.booleans()) else 1 for n in full[data.draw(st.integers(0, len(full))) :])
        for _ in range(2)
    ]
    a, b = (Tensor(np.full(shape, 1.5, dtype), requires_grad=True) for shape in shapes)
    y = a * b + a / b - b
    y.backward(np.ones(y.shape, y.dtype))
    assert y.shape == np.broadcast_shapes(*shapes)
    assert (a.grad.shape, b.grad.shape) == tuple(shapes)
    assert a.grad.dtype == b.grad.dtype == y.dtype == dtype
    if y.size:  # d/da (ab + a/b) = b + 1/b, once for each element that a was broadcast to
        np.testing.assert_allclose(a.grad, (1.5 + 1 / 1.5) * y.size / max(1, a.size), rtol=1e-2)


def test_a_tensor_shows_its_values_its_length_and_its_maker():
    x = leaf([1.0, 2.0])
    assert len(x) == 2
    assert repr(x * 2.0) == "Tensor(array([2., 4.]), requires_grad=True, op=Multiply)"
    assert repr(Tensor(np.ones(1))) == "Tensor(array([1.]), requires_grad=False)"


def test_a_list_beside_a_tensor_becomes_a_constant_of_its_dtype():
    product = Tensor(np.ones(2, np.float32)) * [1.0, 2.0]
    np.testing.assert_array_equal(product.data, [1, 2])
    assert product.dtype == np.float32


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "make",
    [
        np.matrix,
        lambda values: np.array(values, ">f8"),
        lambda values: np.asfortranarray(values),
        lambda values: np.repeat(values, 2, axis=0)[::2],
        lambda values: np.array(values)[::-1][::-1],
        lambda values: np.array(values).view(type("Subclass", (np.ndarray,), {})),
        list,
        tuple,
    ],
)
def test_any_array_of_numbers_becomes_a_plain_one_of_the_machines_byte_order(make):
    x = Tensor(make([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    assert type(x.data) is np.ndarray
    assert x.dtype in (np.dtype("=f4"), np.dtype("=f8"))
    y = x * x
    y.backward(make([[1.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(y.data, [[1, 4], [9, 16]])
    np.testing.assert_array_equal(x.grad, [[2, 4], [6, 8]])
    assert type(x.grad) is np.ndarray


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ma.masked_array([1.0, 2.0], [0, 1]), "lose its mask"),
        (Tensor(1.0), "a Tensor already"),
        ([leaf(1.0), leaf(2.0)], "lose the gradient"),
        (None, "holds no numbers"),
        ("1.0", "holds no numbers"),
        (np.array([1.0, None]), "holds no numbers"),
        (np.array(["2020-01-01"], "M8[D]"), "holds no numbers"),
        (np.zeros(2, [("a", "f8"), ("b", "i4")]), "holds no numbers"),
        ([1j], "same_kind"),  # float32 would lose the half of it
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        Tensor(value)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "make", [np.matrix, lambda values: np.array(values, ">f8"), lambda values: Tensor(values)]
)
def test_data_and_gradients_that_are_set_become_plain_arrays_too(make):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    x.data = x.grad = make(np.array([[5.0, 6.0], [7.0, 8.0]]))
    assert type(x.data) is type(x.grad) is np.ndarray
    assert x.dtype == x.grad.dtype == np.dtype("=f8")
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, 3 * np.array([[5, 6], [7, 8]]))
    for name in "data", "grad":
        with pytest.raises(TypeError, match="lose its mask"):
            setattr(x, name, np.ma.masked_array([1.0, 2.0], [0, 1]))


def test_a_complex_number_beside_a_real_tensor_is_refused():
    with pytest.raises(TypeError, match="same_kind"):
        leaf([1.0]) * 1j


def test_the_gradient_of_a_scalar_is_an_array_without_axes():
    x = leaf(3.0)
    for _ in range(2):
        (x * x + x).backward()
        assert type(x.grad) is np.ndarray
        assert x.grad.shape == ()
    assert x.grad == 14


@pytest.mark.parametrize(
    "function",
    [
        lambda x, setting: ops.pairwise_order_loss(x, setting),
        lambda x, setting: pairwise_same_loss(x, setting, 1.0, 2.0),
        lambda x, setting: ops.bce_with_logits(x, setting / 3),
        lambda x, setting: ops.bce_with_logits(x, setting.clip(0, 1)),
        lambda x, setting: ops.cross_entropy(x.reshape(1, 4), setting[:1]),
        lambda x, setting: ops.mse(x, setting.astype(float)),
        lambda x, setting: (x[setting] * x[setting, None][:, 0]).sum(),
        lambda x, setting: (x * x[setting.view("i8")[::-1]]).sum(),
        lambda x, setting: (x[setting > 1] ** 2).sum(),
    ],
)
def test_a_setting_that_is_changed_before_backward_is_noticed_or_does_no_harm(function):
    def gradient(*changed):
        x, setting = leaf([0.3, -1.0, 2.0, 0.5]), np.array([1, 0, 3, 2])
        y = function(x, setting)
        setting[: len(changed)] = changed
        try:
            y.backward()
        except RuntimeError as error:
            return str(error)
        return x.grad.tolist()

    got, expected = gradient(3, 3, 0, 0), gradient()
    assert got == expected or "changed in place since" in got


class Scaled(Op):
    """x * x * a number for each element, in an op of a student's: a list, or a view, is kept."""

    def __init__(self, factors):
        self.factors = factors

    @staticmethod
    def samples(rng):
        yield Sample((rng.normal(size=(2, 2)),), {"factors": [1.0, 2.0, 3.0, 4.0]})

    def forward(self, xp, x):
        self.flat = x.reshape(-1)
        return x * x * xp.reshape(self.factors, x.shape)

    def backward(self, xp, g):
        return (2 * g * xp.reshape(self.flat * xp.asarray(self.factors), g.shape),)


del Op.registry["Scaled"]


@pytest.mark.parametrize("factors", [[1.0, 2.0, 3.0, 4.0], [np.array([1.0, 2.0]), np.array([3.0, 4.0])]])
@pytest.mark.parametrize("changed", ["input", "setting"])
def test_what_a_students_op_keeps_as_a_list_or_as_a_view_is_watched_too(factors, changed):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = apply(Scaled(copy.deepcopy(factors)), x).sum()
    kept = y.op.inputs[0].op.factors
    target = x.data[0] if changed == "input" else kept if np.ndim(kept) == 1 else kept[0]
    target[0] = 5.0
    with pytest.raises(RuntimeError, match=r"(?s)Scaled kept .* in place since"):
        y.backward()


def test_another_thread_records_while_this_one_does_not():
    recorded = []
    with no_grad():
        thread = threading.Thread(target=lambda: recorded.append((leaf([1.0]) * 2.0).requires_grad))
        thread.start()
        thread.join()
        assert not (leaf([1.0]) * 2.0).requires_grad
    assert recorded == [True]


def test_numpys_functions_get_the_values_or_one_sentence_instead_of_objects():
    x = Tensor([1.0, 2.0])
    assert np.array(x).dtype == np.float32
    assert np.reshape(x, (2, 1)).tolist() == [[1], [2]]
    assert (np.ones(2, np.float32) + x).data.tolist() == [2, 3]
    assert (bool(Tensor([0.0])), float(Tensor([2.5]))) == (False, 2.5)
    assert [float(value) for value in x] == [1, 2]
    for action in (lambda: np.exp(x), lambda: np.add(np.ones(2), x)):
        with pytest.raises(TypeError, match="does not support ufuncs"):
            action()
    with pytest.raises(TypeError, match="lose the gradient"):
        np.reshape(leaf([1.0, 2.0]), (2, 1))


def test_comparisons_are_element_by_element_with_tensors_arrays_and_numbers():
    x = Tensor([1.0, 2.0])
    assert (
        (x == np.array([1, 3])).tolist() == (x < 2).tolist() == (np.array([1, 3]) == x).tolist() == [True, False]
    )
    assert (x >= Tensor([2.0, 2.0])).tolist() == (x != 1).tolist() == [False, True]
    assert x[x > 1].data.tolist() == [2]
    assert x in {x: None}  # a tensor is still a key


def test_what_numpy_and_torch_call_by_these_names_is_there():
    x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
    assert x.T.shape == x.transpose(1, 0).shape == x.reshape(3, 2).shape == x.reshape((3, -1)).shape == (3, 2)
    assert (x.max().item(), x.max(keepdims=True).shape, x.max(axis=1, keepdims=True).shape) == (7, (1, 1), (2, 1))
    for name in "exp", "sqrt", "tanh", "log":
        np.testing.assert_allclose(getattr(x, name)().data, getattr(np, name)(x.data))
    np.testing.assert_allclose(x.softmax(axis=0).sum(axis=0).data, 1)
    np.testing.assert_allclose(x.sigmoid().data, 1 / (1 + np.exp(-x.data)))
    assert (-x).relu().sum().item() == 0
    assert abs(-x).sum().item() == 22
    assert ops.stack([x, x], axis=-1).data.tolist() == np.stack([x.data, x.data], axis=-1).tolist()
    for shapes, axis in (((2, 3), (3, 2)), 0), (((2, 3), (2, 3)), 5):
        with pytest.raises(ValueError, match=r"must match exactly|out of bounds"):
            ops.stack([Tensor(np.ones(shape)) for shape in shapes], axis)
    ops.stack([x, x * 2.0], axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, 3)
    assert not x.detach().requires_grad
    assert x.detach().data is x.data
