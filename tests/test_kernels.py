"""Every CUDA kernel against the plain op that it must equal: on the CPU, and on a GPU where there is one.

The oracle is the plain engine in float64, whose own gradients are proved in test_ops.py.
"""

import contextlib
import functools

import numpy as np
import pytest

from tinyhpe import backend, ops, optim
from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import conv, launch, norm
from tinyhpe.fast.cuda.adam import CudaAdam, adapt_scale, unscale
from tinyhpe.fast.cuda.emulator import CpuModule
from tinyhpe.fast.cuda.norm import CudaBatchNorm
from tinyhpe.fast.cuda.pairs import CudaPairwiseOrder
from tinyhpe.fast.cuda.pool import CudaMaxPool2d
from tinyhpe.nn.module import Parameter
from tinyhpe.ops.norm import BatchNorm
from tinyhpe.ops.pairs import PairwiseOrder
from tinyhpe.ops.pool import MaxPool2d
from tinyhpe.tensor import Tensor
from tinyhpe.ways import plain

EPS = float(np.finfo(np.float32).eps)


@functools.cache
def cpu_module():
    return CpuModule(launch.source())


class Cuda:
    """Runs kernels on NumPy arrays, on "cpu" (emulated) or "cuda"."""

    def __init__(self, device):
        self.xp, self.device = backend.device_module(device), device

    def array(self, value):
        return backend.to_device(value, self.device) if isinstance(value, np.ndarray) else value

    def __call__(self, function, *args):
        """Call a function with the arrays moved to the device; return its arrays as NumPy arrays."""
        results = function(*map(self.array, args))
        if isinstance(results, tuple):
            return [None if array is None else np.asarray(backend.to_numpy(array)) for array in results]
        return backend.to_numpy(results)

    def way(self, way, op, inputs, g):
        """Value and gradients of an op, by a way of it; an array g is the value's gradient."""
        op.needs = (True,) * len(inputs)
        value = way.forward(op, self.xp, *map(self.array, inputs))
        gradients = way.backward(op, self.xp, self.array(g))
        return [backend.to_numpy(self.xp.asarray(array)) for array in (value, *gradients)]


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def cuda(request, monkeypatch):
    """Both backends. Their empty() gives NaN, so that an output that no thread writes is seen."""
    memory = contextlib.nullcontext()
    if request.param == "emulated":
        try:
            cpu_module()
        except InputError as reason:
            pytest.skip(str(reason))
        xp = np
        monkeypatch.setattr(launch, "module", cpu_module)
    else:
        xp, reason = backend.probe_cuda()
        if xp is None:
            pytest.skip(reason)
        memory = xp.cuda.using_allocator(None)  # no pool: so compute-sanitizer sees where each array ends
    empty = xp.empty

    def poisoned(*args, **settings):
        array = empty(*args, **settings)
        if array.dtype.kind in "fu":
            array.fill(np.nan if array.dtype.kind == "f" else 255)
        return array

    monkeypatch.setattr(xp, "empty", poisoned)
    with memory, plain():
        yield Cuda("cpu" if xp is np else "cuda")


def float32(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def tensors(*arrays):
    return [Tensor(array.astype(np.float64), requires_grad=True) for array in arrays]


def assert_close(actual, wanted, roundings):
    """Equal but for so many float32 roundings of the largest value."""
    assert actual.dtype == np.float32
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=roundings * EPS * max(1, abs(wanted).max()))


GEOMETRIES = [  # N, H, W, C, kernel, stride, padding
    (1, 1, 1, 1, 1, 1, 0),
    (2, 5, 4, 3, 3, 1, 1),
    (3, 7, 6, 5, 3, 2, 1),
    (2, 9, 11, 3, 7, 2, 3),
    (2, 5, 7, 17, 1, 2, 0),
    (1, 6, 5, 2, 2, 3, 0),
    (2, 4, 4, 33, 2, 2, 1),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_im2col_lays_out_every_window_as_a_row(cuda, dtype, geometry):
    *shape, k, stride, padding = geometry
    x = float32(np.random.default_rng(0), *shape).astype(dtype)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), (1, 2))[:, ::stride, ::stride]
    wanted = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, k * k * shape[3])
    columns = cuda(conv.im2col, x, k, stride, padding)
    assert columns.dtype == dtype
    np.testing.assert_array_equal(columns, wanted)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_im2col_and_col2im_are_a_convolution_and_its_gradients(cuda, geometry):
    *shape, k, stride, padding = geometry
    rng = np.random.default_rng(1)
    x, weight = float32(rng, *shape), float32(rng, k, k, shape[3], 4)
    oracle = tensors(x, weight)
    y = ops.conv2d(*oracle, stride=stride, padding=padding)
    g = float32(rng, *y.shape)
    y.backward(g.astype(np.float64))
    matrix, g_rows = weight.reshape(-1, 4), g.reshape(-1, 4)
    columns = cuda(conv.im2col, x, k, stride, padding)
    assert_close((columns @ matrix).reshape(y.shape), y.numpy(), 2 * len(matrix))
    assert_close((columns.T @ g_rows).reshape(weight.shape), oracle[1].grad, 2 * len(g_rows))
    dx = cuda.array(np.full(shape, np.nan, np.float32))
    conv.col2im(cuda.array(g_rows @ matrix.T), dx, k, stride, padding)
    assert_close(backend.to_numpy(dx), oracle[0].grad, 8 * k * k)


@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if 2 * g[6] <= g[4]])
@pytest.mark.parametrize("ties", [False, True])
def test_max_pool_and_its_gradient(cuda, geometry, ties):
    *shape, k, stride, padding = geometry
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, shape).astype(np.float32) if ties else float32(rng, *shape)
    (oracle,) = tensors(x)
    wanted = ops.max_pool2d(oracle, k, stride, padding)
    g = rng.integers(-8, 8, wanted.shape).astype(np.float32)  # whole numbers: their sums are exact
    wanted.backward(g.astype(np.float64))
    y, dx = cuda.way(CudaMaxPool2d, MaxPool2d(k, stride, padding), [x], g)
    np.testing.assert_array_equal(y, wanted.numpy())
    np.testing.assert_array_equal(dx, oracle.grad)


def test_a_nan_is_not_hidden_by_a_kernel(cuda):
    x = np.ones((1, 2, 2, 1), np.float32)
    x[0, 1, 0, 0] = x[0, 1, 1, 0] = np.nan
    y, dx = cuda.way(CudaMaxPool2d, MaxPool2d(2, 2), [x], np.ones((1, 1, 1, 1), np.float32))
    assert np.isnan(y).all()
    np.testing.assert_array_equal(dx.ravel(), [0, 0, 1, 0])  # of two the first takes the gradient, as in ops
    one = np.ones(1, np.float32)
    y, *_ = cuda.way(CudaBatchNorm, batch_norm_of(cuda, one, one, relu=True), [x, one, one], x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))


def batch_norm_of(cuda, mean, var, training=False, **settings):
    """The op; mean and var, the running ones, are moved to the device."""
    return BatchNorm(cuda.array(mean), cuda.array(var), training, **settings)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (2, 3, 7, 17), (700, 1), (3, 11, 9, 64), (2500, 33)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_with_residual_and_relu_and_all_its_gradients(cuda, shape, training, with_residual, relu):
    rng, channels = np.random.default_rng(3), shape[-1]
    x, gamma, beta = 3 + 2 * float32(rng, *shape), float32(rng, channels) + 2, float32(rng, channels)
    residual = [float32(rng, *shape)] * with_residual
    running = [float32(rng, channels), rng.uniform(1, 2, channels).astype(np.float32)]
    settings = {"momentum": 0.2, "eps": 1e-5}

    def forward(tensors, running, relu):
        return ops.batch_norm(*tensors[:3], *running, training, *tensors[3:], relu=relu, **settings)

    inputs = [x, gamma, beta, *residual]
    oracle = tensors(*inputs)
    before_relu = forward(oracle, [array.astype(np.float64) for array in running], relu=False).numpy()
    wanted_running = [array.astype(np.float64) for array in running]
    wanted = forward(oracle, wanted_running, relu)
    g = float32(rng, *shape)
    g[abs(before_relu) < 1e-4] = 0  # so near to the kink of the ReLU, rounding decides
    wanted.backward(g.astype(np.float64))

    running = [cuda.array(array) for array in running]
    op = batch_norm_of(cuda, *running, training, relu=relu, **settings)
    y, *gradients = cuda.way(CudaBatchNorm, op, inputs, g)
    for actual, expected in zip(running, wanted_running, strict=True):
        assert_close(backend.to_numpy(actual), expected, 8)
    # the normalisation makes roundings of x larger, by this much
    scale = max(1, 1 / np.sqrt(backend.to_numpy(op.var).min() + op.eps))
    assert_close(y, wanted.numpy(), 16 * scale)
    for tensor, gradient in zip(oracle, gradients, strict=True):
        assert_close(gradient, tensor.grad, 64 * scale**2)


@pytest.mark.parametrize("most_slabs", [1, 3, 1024])
def test_the_variance_survives_a_mean_ten_thousand_times_as_large(cuda, most_slabs, monkeypatch):
    monkeypatch.setattr(norm, "MOST_SLABS", most_slabs)
    x = (10_000 + np.random.default_rng(4).normal(size=(4000, 5))).astype(np.float32)
    running = [cuda.array(np.zeros(5, np.float32)), cuda.array(np.ones(5, np.float32))]
    mean, var = cuda(norm.batch_statistics, x, *running, 0.1)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=EPS)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0), rtol=1e-5)


def rank(cuda, scores, levels):
    """The losses, and the gradient of their sum."""
    return cuda.way(CudaPairwiseOrder, PairwiseOrder(cuda.array(levels)), [scores], np.ones((), np.float32))


@pytest.mark.parametrize("shape", [(2,), (3, 3), (255, 1), (256, 2), (257, 3), (600,)])
def test_the_ranking_loss_of_all_pairs_and_its_gradient(cuda, shape):
    rng = np.random.default_rng(5)
    scores, levels = 4 * float32(rng, *shape), rng.integers(0, 5, shape)
    (oracle,) = tensors(scores)
    wanted = ops.pairwise_order_loss(oracle, levels)
    wanted.sum().backward()
    losses, gradient = rank(cuda, scores, levels)
    np.testing.assert_allclose(losses, wanted.numpy(), rtol=20 * EPS)
    np.testing.assert_allclose(gradient, oracle.grad, rtol=0, atol=20 * EPS * 2 / len(scores))


def test_the_gradient_of_a_pair_far_apart_in_the_right_order_is_small_but_not_lost(cuda):
    _, gradient = rank(cuda, np.array([0, 20], np.float32), np.array([0, 2**40]))
    np.testing.assert_allclose(gradient, np.array([1, -1]) / (1 + np.exp(20)), rtol=1e-6)


def test_the_ranking_loss_of_scores_far_apart_is_finite(cuda):
    loss, gradient = rank(cuda, np.array([-1e4, 1e4], np.float32), np.array([1, 0]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [-1, 1])


def adam_on(cuda, start):
    """A parameter on the device and an Adam for it, and a function that takes a step with a gradient (NumPy)."""
    parameter = Parameter(cuda.array(start.copy()))
    adam, moments = optim.Adam([parameter], lr=0.01), [cuda.array(np.zeros_like(start)) for _ in range(2)]

    def step(gradient):
        adam.steps += 1
        CudaAdam.update(adam, parameter.data, cuda.array(gradient), *moments)

    return [parameter.data, *moments], adam, step


@pytest.mark.parametrize("shape", [(1,), (256,), (20, 50)])
def test_adam_takes_the_steps_of_the_optimizer(cuda, shape):
    rng = np.random.default_rng(6)
    start = float32(rng, *shape)
    wanted = Parameter(start.astype(np.float64))
    oracle = optim.Adam([wanted], lr=0.01)
    arrays, _, step = adam_on(cuda, start)
    for _ in range(3):
        gradient = float32(rng, *shape) * np.float32(10) ** rng.integers(-9, 1, shape).astype(np.float32)
        wanted.grad = gradient.astype(np.float64)
        oracle.step()
        step(gradient)
    for actual, expected in zip(arrays, (wanted.data, *oracle.state[0].values()), strict=True):
        assert_close(backend.to_numpy(actual), expected, 4)


def test_adam_changes_no_bit_after_an_overflow(cuda):
    rng = np.random.default_rng(6)
    arrays, adam, step = adam_on(cuda, float32(rng, 1000))
    step(float32(rng, 1000))
    before = [backend.to_numpy(array).tobytes() for array in arrays]
    adam.numbers.overflow[...] = 1
    step(np.full(1000, np.nan, np.float32))
    assert [backend.to_numpy(array).tobytes() for array in arrays] == before


@pytest.mark.parametrize("size", [1, 256, 1000])
@pytest.mark.parametrize("worst", [np.inf, -np.inf, np.nan, 3e38])
def test_a_gradient_is_divided_by_the_scale_and_what_is_not_finite_is_noted(cuda, worst, size):
    gradient = float32(np.random.default_rng(6), size)
    gradient[-1] = worst
    scale, divided = np.full((), 2.0**16, np.float32), cuda.array(gradient.copy())
    for before in 0, 1:  # whoever has noted an overflow, it stays noted
        overflow = cuda.array(np.full((), before, np.int32))
        divided[...] = cuda.array(gradient)
        unscale(divided, cuda.array(scale), overflow)
        np.testing.assert_array_equal(backend.to_numpy(divided), gradient / scale)
        assert int(overflow) == (before or not np.isfinite(worst))


@pytest.mark.parametrize(
    ("overflows", "scales"),
    [
        ("", [8]),
        ("...", [8, 8, 8, 16]),
        ("......", [8, 8, 8, 16, 16, 16, 32]),
        ("..x...", [8, 8, 8, 4, 4, 4, 8]),  # in a row
        ("x.x", [8, 4, 4, 2]),
        ("xxxxx", [8, 4, 2, 1, 1, 1]),  # not below 1
        ("............", [8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64]),  # nor above the largest
    ],
)
def test_the_scale_is_halved_by_an_overflow_and_doubled_after_three_steps_without(cuda, overflows, scales):
    scale = cuda.array(np.full((), 8, np.float32))
    steps_without, overflow = (cuda.array(np.zeros((), np.int32)) for _ in range(2))
    seen = [float(scale)]
    for happened in overflows:
        overflow[...] = happened == "x"
        adapt_scale(scale, steps_without, overflow, growth_interval=3, largest=64)
        assert int(overflow) == 0
        seen.append(float(scale))
    assert seen == scales


def convolution(cuda, x, g):
    weight = float32(np.random.default_rng(9), 3, 3, 3, 3)
    dx = cuda.array(np.empty_like(x))
    conv.col2im(cuda.array(g.reshape(-1, 3) @ weight.reshape(-1, 3).T), dx, 3, 1, 1)
    forward = functools.partial(ops.conv2d, weight=Tensor(weight.astype(np.float64)), padding=1)
    return lambda v: forward(Tensor(v)).numpy(), backend.to_numpy(dx)


def max_pool(cuda, x, g):
    _, dx = cuda.way(CudaMaxPool2d, MaxPool2d(3, 1, 1), [x], g)
    return lambda v: ops.max_pool2d(Tensor(v), 3, 1, 1).numpy(), dx


def batch_norm(cuda, x, g):
    running = np.zeros(3, np.float32), np.ones(3, np.float32)  # their update does not matter here
    op = batch_norm_of(cuda, *running, training=True)
    _, dx, *_ = cuda.way(CudaBatchNorm, op, [x, np.ones(3, np.float32), np.zeros(3, np.float32)], g)
    return lambda v: ops.batch_norm(*map(Tensor, (v, np.ones(3), np.zeros(3))), *running, True).numpy(), dx


def ranking(cuda, x, g):
    levels = np.random.default_rng(9).integers(0, 4, x.size)
    _, gradient = rank(cuda, x.ravel(), levels)
    dx = gradient.reshape(x.shape) * g.sum(dtype=np.float64)  # the loss is a scalar: (g * loss).sum()
    return lambda v: ops.pairwise_order_loss(Tensor(v.ravel()), levels).numpy(), dx


@pytest.mark.parametrize("pair", [convolution, max_pool, batch_norm, ranking])
def test_a_gradient_foretells_how_the_forward_pass_changes(cuda, pair):
    """dx . v, dx from the kernels, against (f(x + h v) - f(x - h v)) / 2h . g of the float64 forward alone."""
    rng, h = np.random.default_rng(8), 1e-6
    x, g, v = float32(rng, 2, 5, 6, 3), float32(rng, 2, 5, 6, 3), rng.normal(size=(2, 5, 6, 3))
    forward, dx = pair(cuda, x, g)
    change = (forward(x + h * v) - forward(x - h * v)) / (2 * h)
    terms = dx * v
    assert abs((g * change).sum() - terms.sum()) < 1e-5 * abs(terms).sum()


def test_arrays_that_a_kernel_would_misread_are_refused(cuda):
    x = np.zeros((2, 4, 4, 3), np.float32)
    with pytest.raises(TypeError, match="x is float64, the CUDA kernel reads float32"):
        cuda(conv.im2col, x.astype(np.float64), 3, 1, 1)
    with pytest.raises(ValueError, match="not C-contiguous"):
        conv.im2col(cuda.array(x).transpose(0, 2, 1, 3), 3, 1, 1)
    with pytest.raises(ValueError, match="columns has the shape"):
        cuda(conv.col2im, np.zeros((3, 27), np.float32), x, 3, 1, 1)


def test_a_kernel_that_does_not_compile_on_the_gpu_is_one_clear_line(monkeypatch):
    class Broken:
        def __init__(self, code):
            assert "im2col" in code

        def compile(self):
            raise RuntimeError("nvrtc: \n conv.cu(7): error: identifier is undefined\n 1 error detected")

    cupy = type("cupy", (), {"RawModule": Broken})
    monkeypatch.setattr(backend, "probe_cuda", lambda: (cupy, ""))
    launch.module.cache_clear()
    with pytest.raises(InputError, match=r"conv.cu\(7\): error.*the device 'cpu'") as error:
        launch.module()
    assert "\n" not in str(error.value)
