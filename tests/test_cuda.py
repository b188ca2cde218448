"""The engine on CuPy arrays: every op, a step of training, an optimizer, a network.

Two backends: a real GPU, and one that is emulated (pretend_cuda.py).
"""

import contextlib
import copy
import functools

import numpy as np
import pytest

from tests.pretend_cuda import EmulatedModule
from tests.test_golden import in_float64
from tinyhpe import backend, checks, methods, ops, optim
from tinyhpe.fast.cuda import emulator, launch, precision, step
from tinyhpe.fast.cuda.conv import CudaConv2d
from tinyhpe.fast.cuda.emulator import kernel_parameters
from tinyhpe.fast.cuda.graph import CudaGraph
from tinyhpe.fast.cuda.step import Stepper
from tinyhpe.nn import resnet
from tinyhpe.nn.layers import BatchNorm2d
from tinyhpe.nn.module import Parameter
from tinyhpe.tensor import Tensor, apply
from tinyhpe.ways import plain

FLOAT32_ONLY, FLOAT16_ONLY = {"im2col"}, {"im2col_float16", "unscale", "adapt_scale"}


def to_device(value):
    """Move the arrays among an op's settings: on their own, or in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(to_device, value))
    return backend.to_device(value, "cuda") if isinstance(value, np.ndarray) else value


def value_and_gradients(function, inputs, cotangent):
    """checks.value_and_gradients of NumPy arrays, computed on the device."""
    tensors = [Tensor(to_device(array), requires_grad=True) for array in inputs]
    output = function(*tensors)
    output.backward(to_device(cotangent))
    return [backend.to_numpy(array) for array in (output.data, *(tensor.grad for tensor in tensors))]


def op_of(op_class, sample):
    """The op as a function of tensors on either device."""

    def function(*tensors):
        settings = copy.deepcopy(sample.settings)
        if not isinstance(tensors[0].data, np.ndarray):
            settings = {name: to_device(value) for name, value in settings.items()}
        if "running_mean" in settings:  # as in a layer, these are of the weights' dtype
            for name in ("running_mean", "running_var"):
                settings[name] = settings[name].astype(tensors[0].dtype)
        return apply(op_class(**settings), *tensors)

    function.__name__ = f"{op_class.__name__}({checks.describe(sample)}) on the GPU"
    return function


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("dtype", ["float32", "float16"])  # our kernels, and the way of all other dtypes
@pytest.mark.parametrize("name", checks.all_ops())
def test_an_op_is_as_near_to_numpys_float64_as_rounding_lets_it_be(name, dtype, monkeypatch):
    op_class, on_cpu, rng = checks.all_ops()[name], checks.value_and_gradients, np.random.default_rng(0)

    def where_the_dtype_says(function, inputs, cotangent):
        return (value_and_gradients if cotangent.dtype == dtype else on_cpu)(function, inputs, cotangent)

    for sample in op_class.samples(rng):
        function = op_of(op_class, sample)
        cotangent = rng.normal(size=function(*map(Tensor, sample.inputs)).shape)
        movements = checks.sensitivity(function, sample.inputs, cotangent)
        with monkeypatch.context() as patch:
            patch.setattr(checks, "value_and_gradients", where_the_dtype_says)
            checks.check_rounding(function, sample.inputs, cotangent, dtype, movements)


def check_against_cpu(function, arrays, cotangent, place, needs):
    """Value and gradients in float32, the arrays moved to the device by place(), against NumPy's in float64."""

    def run(put):
        tensors = [Tensor(put(array), requires_grad=need) for array, need in zip(arrays, needs, strict=True)]
        output = function(*tensors)
        output.backward(put(cotangent))
        return [output.data, *(tensor.grad for tensor in tensors)]

    expected = run(lambda array: array.astype(np.float32).astype(np.float64))
    for got, wanted in zip(run(lambda array: place(array.astype(np.float32))), expected, strict=True):
        assert (got is None) == (wanted is None)
        if got is not None:
            np.testing.assert_allclose(got.get(), wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


@pytest.fixture
def rounded(cupy, monkeypatch, request):
    """Matrix products of rounded factors, as after --precision tf32 or float16; the latter if it is not said."""
    monkeypatch.setattr(precision, "_chosen", "float32")  # put back afterwards
    precision.use_precision(getattr(request, "param", "float16"))
    return cupy


def convolution(kernel, stride, padding):
    return functools.partial(ops.conv2d, stride=stride, padding=padding), (3, 5, 6, 2), (kernel, kernel, 2, 4)


@pytest.mark.parametrize("rounded", ["tf32", "float16"], indirect=True)
@pytest.mark.parametrize("values", [1, 1 << 26])  # of a chunk of a convolution: each image its own, all together
@pytest.mark.parametrize(
    ("function", "a_shape", "b_shape"),
    [*(convolution(*g) for g in [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0)]), (ops.matmul, (5, 7), (7, 4))],
)
def test_products_of_rounded_factors_err_by_no_more_than_two_roundings(
    rounded, monkeypatch, function, a_shape, b_shape, values
):
    monkeypatch.setattr(CudaConv2d, "CHUNK_VALUES", values)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in (a_shape, b_shape)]
    g = rng.normal(size=function(*map(Tensor, arrays)).shape).astype(np.float32)
    wide = [array.astype(float) for array in (*arrays, g)]
    wanted = checks.value_and_gradients(function, wide[:2], wide[2])
    # the sum of the absolute values of what is added up: both factors of each are rounded
    *factors, cotangent = map(abs, wide)
    sums = checks.value_and_gradients(function, factors, cotangent)
    for got, exact, size in zip(value_and_gradients(function, arrays, g), wanted, sums, strict=True):
        error = np.abs(got - exact)
        assert got.dtype == np.float32
        assert (error <= 2.01 * 2.0**-11 * size).all()
        assert error.max() > 2.0**-16 * size.max()  # they were rounded


@pytest.mark.usefixtures("rounded")
def test_stacks_of_matrices_are_multiplied_in_float32_all_the_same():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4), (2, 4, 5), (2, 3, 5))]
    wide = [array.astype(float) for array in arrays]
    wanted = checks.value_and_gradients(ops.matmul, wide[:2], wide[2])
    for got, exact in zip(value_and_gradients(ops.matmul, arrays[:2], arrays[2]), wanted, strict=True):
        np.testing.assert_allclose(got, exact, atol=1e-5)


def update(loss, optimizer, *batch):
    """A step of training. Gradients are forgotten at its begin, so that they can be looked at."""
    optimizer.zero_grad()
    losses = loss(*batch)
    losses.sum().backward()
    optimizer.step()
    return losses.data


class Product:
    """Steps of Adam for the loss (ones @ weight).sum() * factor: each gradient of the product is `factor`."""

    def __init__(self, cupy, scaled):
        weight, self.x = (cupy.asarray(np.ones(shape, np.float32)) for shape in ((3, 2), (4, 3)))
        self.weight, self.array = Parameter(weight), cupy.asarray
        self.adam = optim.Adam([self.weight], lr=0.25)
        self.stepper = (Stepper if scaled else functools.partial)(update, self.loss, self.adam)

    def loss(self, factor):
        return ops.matmul(Tensor(self.x), self.weight).sum() * factor

    def step(self, factor):
        with np.errstate(over="ignore", invalid="ignore"):  # the emulator's NumPy warns of what is meant to happen
            return self.stepper(self.array(np.full((), factor, np.float32)))

    def bits(self):
        return [array.get().tobytes() for array in (self.weight.data, *self.adam.state[0].values())]

    def scale(self):
        return float(self.stepper.scale.value.get())


@pytest.mark.parametrize("scaled", [True, False])
def test_a_gradient_too_small_for_float16_survives_with_loss_scaling_and_vanishes_without(rounded, scaled):
    product = Product(rounded, scaled)
    product.adam.eps = 0.0 if scaled else 1e-8  # which is not small beside this gradient
    loss = product.step(1e-8)
    np.testing.assert_allclose(loss.get(), 24e-8, rtol=1e-3)  # as it is, not scaled
    np.testing.assert_allclose(product.adam.state[0]["mean"].get(), 0.1 * 4e-8 if scaled else 0, rtol=1e-3)
    np.testing.assert_allclose(product.weight.numpy(), 1 - 0.25 * scaled, rtol=1e-3)  # Adam's first step is lr


def test_an_overflow_changes_no_bit_but_halves_the_scale_until_it_fits(rounded):
    product = Product(rounded, scaled=True)
    product.step(0.125)
    scales, before = [product.scale()], product.bits()
    while product.bits() == before and len(scales) < 20:
        product.step(3.0)
        scales.append(product.scale())
    # the gradient of the product is 3: times 2^14 it is below 65504
    assert scales == [2.0**16, 2.0**15, 2.0**14, 2.0**14]
    assert np.isfinite(product.weight.numpy()).all()
    assert product.adam.steps == len(scales)


def test_the_scale_doubles_after_enough_steps_without_an_overflow(rounded, monkeypatch):
    monkeypatch.setattr(step, "GROWTH_INTERVAL", 3)
    product, scales = Product(rounded, scaled=True), []
    for _ in range(7):
        product.step(1e-3)
        scales.append(product.scale() / 2**16)
    assert scales == [1, 1, 2, 2, 2, 4, 4]


@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("values", [1, 1200])  # of a chunk: each image its own, or two of the three together
def test_a_convolution_in_chunks_of_images_is_that_of_the_whole_batch(cupy, monkeypatch, values, needs):
    monkeypatch.setattr(CudaConv2d, "CHUNK_VALUES", values)
    rng = np.random.default_rng(0)
    for kernel, stride, padding in (3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0):
        arrays = rng.normal(size=(3, 5, 6, 2)), rng.normal(size=(kernel, kernel, 2, 4))
        function = functools.partial(ops.conv2d, stride=stride, padding=padding)
        check_against_cpu(
            function, arrays, rng.normal(size=(3, -(-5 // stride), 6 // stride, 4)), cupy.asarray, needs
        )


def test_inputs_and_gradients_that_are_not_contiguous_are_read_rightly(cupy):
    def crooked(array):
        return cupy.asarray(np.repeat(array[..., None], 2, axis=-1))[..., 0]

    rng = np.random.default_rng(0)
    x, residual, g = (rng.normal(size=(2, 4, 6, 3)) for _ in range(3))
    weight, gamma, beta, scores = rng.normal(size=(3, 3, 3, 3)), *rng.uniform(1, 2, (2, 3)), rng.normal(size=5)
    levels, g_pooled = np.array([[3, 0], [1, 0], [1, 0], [2, 0], [0, 0]]), rng.normal(size=(2, 2, 3, 3))
    statistics = [np.zeros(3, np.float32), np.ones(3, np.float32)]
    for function, arrays, cotangent in [
        (lambda x, w: ops.conv2d(x, w, padding=1), (x, weight), g),
        (lambda x, *rest: batch_norm(x, rest, statistics, training=True), (x, gamma, beta, residual), g),
        (lambda x: ops.max_pool2d(x, 2, 2), (x,), g_pooled),
        (lambda s: ops.pairwise_order_loss(s, to_device_of(s, levels)[:, 0]), (scores,), np.ones(())),
    ]:
        check_against_cpu(function, arrays, cotangent, crooked, [True] * len(arrays))


def test_windows_with_more_pixels_than_a_byte_can_number_are_pooled_too(cupy):
    x = np.arange(800).reshape(1, 20, 20, 2) / 100  # in each window the last pixel wins
    function = functools.partial(ops.max_pool2d, kernel=17, stride=1)
    check_against_cpu(function, (x,), np.ones((1, 4, 4, 2)), cupy.asarray, [True])


def to_device_of(tensor, array):
    return backend.array_module(tensor.data).asarray(array)


def batch_norm(x, rest, statistics, training):
    """ops.batch_norm with running statistics of x's dtype and device."""
    gamma, beta, *residual = rest
    statistics = [to_device_of(x, array).astype(x.dtype) for array in statistics]
    return ops.batch_norm(x, gamma, beta, *statistics, training, *residual, relu=True)


@pytest.mark.parametrize(
    "levels",
    [
        np.array([0.25, 0.5, 0.75]),
        np.array([2**40, 2**41, 3]),
        np.uint8([3, 250, 250]),
        np.uint64([2**63, 1, 0]),
    ],
)
def test_levels_of_all_kinds_rank_as_on_the_cpu(cupy, levels):
    def function(scores):
        return ops.pairwise_order_loss(scores, to_device_of(scores, levels))

    check_against_cpu(function, (np.array([0.5, -1.0, 2.0]),), np.ones(()), cupy.asarray, [True])


def test_levels_that_are_not_where_the_scores_are_are_refused(cupy):
    with pytest.raises(TypeError, match="two devices"):
        ops.pairwise_order_loss(Tensor(cupy.asarray(np.ones(3, np.float32))), np.array([1, 2, 3]))


def test_in_evaluation_mode_a_later_step_of_training_does_not_change_the_gradient(cupy):
    x = Tensor(cupy.asarray(np.ones((4, 1), np.float32)), requires_grad=True)
    gamma, beta, mean, var = (cupy.asarray(np.array([v], np.float32)) for v in (1, 0, 0, 3))
    y = ops.batch_norm(x, gamma, beta, mean, var, training=False, eps=1.0)
    var[...] = 15
    y.sum().backward()
    np.testing.assert_array_equal(backend.to_numpy(x.grad), np.full((4, 1), 0.5))  # 1 / sqrt(3 + 1)


def test_an_empty_batch_goes_forward_and_back(cupy):
    def array(*shape):
        return Tensor(cupy.asarray(np.ones(shape, np.float32)), requires_grad=True)

    statistics = cupy.asarray(np.zeros(2, np.float32)), cupy.asarray(np.ones(2, np.float32))
    x, weight, gamma, beta = array(0, 4, 4, 2), array(3, 3, 2, 2), array(2), array(2)
    y = ops.conv2d(x, weight, padding=1)
    y = ops.max_pool2d(ops.batch_norm(y, gamma, beta, *statistics, training=False, relu=True), 2, 2)
    assert y.shape == (0, 2, 2, 2)
    y.backward(cupy.asarray(np.zeros(y.shape, np.float32)))
    for tensor in (x, weight, gamma, beta):
        np.testing.assert_array_equal(backend.to_numpy(tensor.grad), np.zeros(tensor.shape))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda x, array: ops.conv2d(x, array(3, 3, 4, 2)), "same C_in"),
        (lambda x, array: ops.conv2d(x, array(9, 9, 3, 2)), "do not fit an image"),
        (lambda x, array: ops.max_pool2d(x, 2, 2, padding=2), "at most half of the window"),
        (lambda x, array: ops.batch_norm(x, *[array(2)] * 4, training=True), "one value per channel"),
        (lambda x, array: ops.pairwise_order_loss(x[0, 0, 0], np.ones(4)), "one score and one level"),
    ],
)
def test_a_wrong_shape_is_explained_as_on_the_cpu(cupy, action, message):
    def array(*shape):
        return cupy.asarray(np.ones(shape, np.float32))

    with pytest.raises(ValueError, match=message):
        action(Tensor(array(2, 5, 5, 3)), array)


@pytest.fixture
def tiny(monkeypatch):
    """A ResNet with a narrow block in each stage; and threads run in one order, since other tests try them all."""
    monkeypatch.setitem(resnet.NETWORKS, "tiny", (resnet.BasicBlock, (1, 1, 1, 1), 4))
    monkeypatch.setattr(emulator, "ORDERS", emulator.ORDERS[:1])
    return "tiny"


@pytest.mark.parametrize("chosen", ["float32", "float16"])
def test_two_steps_of_training_are_those_of_the_cpu_and_wait_for_nothing(cupy, tiny, monkeypatch, request, chosen):
    if chosen == "float16":
        request.getfixturevalue("rounded")
    # of the gradients NumPy's own float32 is 1e-5 away; a ReLU that rounding switches over costs more: in float16
    # they are 0.01 away down to the first ReLU with such a value, and 0.2 to 0.3 from there on
    rounding, largest_error, left_out = {
        "float32": (1e-5, 1e-3, FLOAT16_ONLY),
        "float16": (4e-3, 0.5, FLOAT32_ONLY),
    }[chosen]
    monkeypatch.setattr(step, "FIRST_SCALE", 2.0**10)  # with which no gradient of these two steps overflows
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, 8, 32, 32, 3)).astype(np.float32)
    poses = rng.uniform(-90, 90, (2, 8, 3)).astype(np.float32)
    exact, model = (methods.build("siamese", tiny, seed=7) for _ in range(2))
    exact, model = in_float64(exact), model.to("cuda")
    adams = [optim.Adam(network.parameters(), lr=1e-4) for network in (exact, model)]
    stepper = Stepper(update, lambda images, poses: model.loss("ranking", Tensor(images), poses), adams[1])
    on_device, poses_on_device = cupy.asarray(images), cupy.asarray(poses)
    emulated = isinstance(launch.module(), EmulatedModule)
    for number in range(2):
        loss = functools.partial(exact.loss, "ranking")
        wanted = update(loss, adams[0], Tensor(images[number].astype(float)), poses[number])
        with monkeypatch.context() as patch:
            if emulated:  # CuPy's own methods cannot be replaced
                for look in "get", "item", "tolist", "__float__", "__bool__":
                    patch.setattr(
                        cupy.ndarray, look, lambda array: pytest.fail("it waits for the GPU"), raising=False
                    )
            with np.errstate(over="ignore", invalid="ignore"):  # of what is recorded, not done
                losses = stepper(on_device[number], poses_on_device[number])
        np.testing.assert_allclose(losses.get(), wanted, rtol=rounding)
        for (name, p), q in zip(model.named_parameters(), exact.parameters(), strict=True):
            error = np.linalg.norm(p.grad.get() - q.grad)
            assert error <= largest_error * np.linalg.norm(q.grad) + 1e-6, name
    for (name, array), wanted in zip(model.named_buffers(), dict(exact.named_buffers()).values(), strict=True):
        np.testing.assert_allclose(array.get(), wanted, rtol=100 * rounding, atol=10 * rounding, err_msg=name)
    if emulated:
        assert set(EmulatedModule.launches) == set(kernel_parameters(launch.source())) - left_out


@pytest.mark.parametrize("make", [optim.Adam, optim.SGD])
def test_an_optimizer_takes_the_same_steps_in_the_memory_of_the_gpu(cupy, make):
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in [(3, 2), (300,), (1, 2, 2)]]
    on_cpu = [Parameter(start.astype(float).T) for start in starts]
    on_gpu = [Parameter(cupy.asarray(start).T) for start in starts]  # two of three are not contiguous
    optimizers = [make(parameters, lr=0.01) for parameters in (on_cpu, on_gpu)]
    for lr in 0.01, 0.02, 0.003:
        for p, q in zip(on_cpu, on_gpu, strict=True):
            gradient = rng.normal(size=p.shape).astype(np.float32)
            p.grad, q.grad = gradient.astype(float), cupy.asarray(gradient)
        for optimizer in optimizers:
            optimizer.lr = lr
            optimizer.step()
    for p, q in zip(on_cpu, on_gpu, strict=True):
        np.testing.assert_allclose(q.numpy(), p.data, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("block", [resnet.BasicBlock, resnet.Bottleneck])
def test_a_network_answers_on_the_gpu_as_on_the_cpu_with_two_kernels_and_a_product_for_a_layer(
    cupy, tiny, monkeypatch, block
):
    monkeypatch.setitem(resnet.NETWORKS, tiny, (block, (1, 1, 1, 1), 4))
    network, rng = resnet.build(tiny, outputs=3).eval(), np.random.default_rng(0)
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    for layer in network.modules():
        if isinstance(layer, BatchNorm2d):  # as if trained, but so that the signal lives through all the layers
            layer.running_mean[...], layer.bias.data[...] = rng.normal(0, 0.1, (2, len(layer.bias)))
            layer.running_var[...], layer.weight.data[...] = rng.uniform(0.5, 1.5, (2, len(layer.bias)))
    wanted = network.infer(images)
    got = network.to("cuda").infer(cupy.asarray(images)).get()
    assert np.abs(wanted[0] - wanted[1]).min() > 0.01 * np.abs(wanted).max()  # they are about the images
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())
    if isinstance(launch.module(), EmulatedModule):
        layers = sum(isinstance(layer, BatchNorm2d) for layer in network.modules())
        assert EmulatedModule.launches.count("batch_norm_apply") == layers
        assert set(EmulatedModule.launches) == {"im2col", "batch_norm_apply", "max_pool"}


def trained(cupy, network, method, graph):
    """Losses and weights of three steps of training, with another batch and another learning rate at each."""
    rng, model = np.random.default_rng(2), methods.build(method, network, input_size=16, seed=7).to("cuda")
    adam = optim.Adam(model.parameters())
    stepper = Stepper(update, lambda images, poses: model.loss(model.stages[0], Tensor(images), poses), adam)
    if not graph:
        stepper.graph = stepper.update
    losses = []
    for lr in 1e-3, 2e-3, 5e-4:
        labels = (4, 3) if model.learns == "poses" else (4, 68, 2)
        arrays = rng.normal(size=(4, 16, 16, 3)), rng.uniform(-90, 90, labels)
        batch = [array.astype(np.float32) for array in arrays]
        adam.lr = lr
        with np.errstate(over="ignore", invalid="ignore"):  # in float16 the first loss scale is too large
            losses.append(stepper(*map(cupy.asarray, batch)))
    assert adam.steps == 3
    return [loss.get() for loss in losses], [array.tobytes() for array in model.state_dict().values()]


@pytest.mark.parametrize(
    ("method", "chosen"),
    [*((name, "float32") for name, method in methods.METHODS.items() if method.stages), ("siamese", "float16")],
)
def test_a_replayed_training_step_leaves_the_same_bits_as_an_ordinary_one(cupy, tiny, request, method, chosen):
    if method == "siamese-same" and not isinstance(launch.module(), EmulatedModule):
        pytest.skip("CuPy adds the gradients of an image's pairs up in any order: no two runs are the same")
    if chosen == "float16":
        request.getfixturevalue("rounded")
    ordinary, replayed = trained(cupy, tiny, method, False), trained(cupy, tiny, method, True)
    np.testing.assert_array_equal(replayed[0], ordinary[0])
    assert len({loss.tobytes() for loss in replayed[0]}) == 3
    assert replayed[1] == ordinary[1]


def test_a_step_whose_recording_fails_half_way_is_done_once_and_rightly(cupy):
    def looking(loss, optimizer, factor):
        losses = loss(factor)
        losses.sum().backward()
        optimizer.step()
        seen.append(losses.data.get())
        optimizer.zero_grad()
        return losses.data

    ordinary, product, seen = Product(cupy, scaled=False), Product(cupy, scaled=True), []
    product.stepper = Stepper(looking, product.loss, product.adam)
    for number, factor in enumerate((1.0, -2.0, 3.0)):
        ordinary.step(factor)
        with pytest.warns(UserWarning, match="no CUDA graph") if number == 1 else contextlib.nullcontext():
            product.step(factor)
    assert [loss.item() for loss in seen] == [24, *seen[1:]]
    assert len(seen) == product.adam.steps == 3
    assert product.bits() == ordinary.bits()


def test_the_bench_times_the_steps_of_training_that_a_gpu_does(cupy, tiny, monkeypatch):
    from tinyhpe.bench import cuda, workloads  # here, since they import torch where torch is installed

    monkeypatch.setitem(workloads.WORKLOADS, "tiny", workloads.Workload(tiny, batch=0, size=16, training=True))
    monkeypatch.setattr(cuda, "torch_resnet", None)
    monkeypatch.setattr(cuda, "milliseconds", lambda step, *_: [step() for _ in range(3)] and 2.0)
    row = cuda.measure(cupy, "tiny", 4, {"gemm_gflops": 10.0, "copy_gbytes": 4.0})
    assert row["ours_ms"] == 2.0
    flops, moved = cuda.cost_of_one_image(workloads.WORKLOADS["tiny"])
    assert row["gflops_share"] == pytest.approx(4 * flops / 2e6 / 10)
    assert row["gbytes_share"] == pytest.approx(4 * moved / 2e6 / 4)
    if isinstance(launch.module(), EmulatedModule):
        assert EmulatedModule.launches.count("max_pool") == 2  # the third step was replayed


def test_a_step_of_an_optimizer_whose_numbers_would_be_recorded_is_refused(cupy):
    weight = Parameter(cupy.asarray(np.ones((3, 2), np.float32)))
    with pytest.raises(ValueError, match="needs an Adam"):
        Stepper(update, None, optim.SGD([weight]))
    with plain(), pytest.raises(ValueError, match="needs an Adam"):
        Stepper(update, None, optim.Adam([weight]))


def test_what_cannot_be_recorded_is_done_as_it_is_with_one_warning(cupy):
    def to_the_cpu_and_back(x):
        return cupy.asarray(x.get() + 1)

    function, x = CudaGraph(to_the_cpu_and_back), cupy.asarray(np.zeros(2))
    function(x)
    with pytest.warns(UserWarning, match=r"(?i)no CUDA graph .*slower: .*captur"):
        x = function(x)
    np.testing.assert_array_equal(function(x).get(), [2, 2])


def test_memory_that_runs_out_while_a_step_is_recorded_is_no_reason_to_go_on(cupy):
    def function(x):
        if len(asked) > 1:
            raise MemoryError("Out of memory allocating 9 bytes")
        asked.append(x)
        return x

    asked, x = [0], cupy.asarray(np.zeros(2))
    graph = CudaGraph(function)
    graph(x)
    with pytest.raises(MemoryError, match="9 bytes"):
        graph(x)
