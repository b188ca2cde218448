"""The engine on CuPy arrays: every op, a step of training, an optimizer, a folded network.

Two backends: a real GPU, and one that is emulated (pretend_cuda.py).
"""

import copy
import functools

import numpy as np
import pytest

from tests.pretend_cuda import EmulatedModule
from tests.test_golden import model_in_float64
from tinyhpe import backend, gradcheck, methods, ops, optim
from tinyhpe.fast.cuda import emulator, kernels
from tinyhpe.fast.cuda.emulator import kernel_parameters
from tinyhpe.fast.cuda.graph import CudaGraph
from tinyhpe.fast.folded import FoldedResNet
from tinyhpe.nn import resnet
from tinyhpe.nn.layers import BatchNorm2d
from tinyhpe.nn.module import Parameter
from tinyhpe.ops import conv
from tinyhpe.tensor import Tensor, apply, no_grad

NOT_IN_A_STEP = {"add_bias", "prepare_images"}
FLOAT32_ONLY, FLOAT16_ONLY = {"im2col"}, {"im2col_float16", "unscale", "adapt_scale"}


def to_device(value):
    """Move the arrays among an op's settings: on their own, or in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(to_device, value))
    return backend.to_device(value, "cuda") if isinstance(value, np.ndarray) else value


def value_and_gradients(function, inputs, cotangent):
    """gradcheck.value_and_gradients of NumPy arrays, computed on the device."""
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

    function.__name__ = f"{op_class.__name__}({gradcheck.describe(sample)}) on the GPU"
    return function


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("dtype", ["float32", "float16"])  # our kernels, and the way of all other dtypes
@pytest.mark.parametrize("name", gradcheck.all_ops())
def test_an_op_is_as_near_to_numpys_float64_as_rounding_lets_it_be(name, dtype, monkeypatch):
    op_class, on_cpu, rng = gradcheck.all_ops()[name], gradcheck.value_and_gradients, np.random.default_rng(0)

    def where_the_dtype_says(function, inputs, cotangent):
        return (value_and_gradients if cotangent.dtype == dtype else on_cpu)(function, inputs, cotangent)

    for sample in op_class.samples(rng):
        function = op_of(op_class, sample)
        cotangent = rng.normal(size=function(*map(Tensor, sample.inputs)).shape)
        movements = gradcheck.sensitivity(function, sample.inputs, cotangent)
        with monkeypatch.context() as patch:
            patch.setattr(gradcheck, "value_and_gradients", where_the_dtype_says)
            gradcheck.check_rounding(function, sample.inputs, cotangent, dtype, movements)


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
    monkeypatch.setattr(backend, "precision", "float32")  # put back afterwards
    backend.use_precision(getattr(request, "param", "float16"))
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
    monkeypatch.setattr(conv, "CUDA_CHUNK_VALUES", values)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in (a_shape, b_shape)]
    g = rng.normal(size=function(*map(Tensor, arrays)).shape).astype(np.float32)
    wide = [array.astype(float) for array in (*arrays, g)]
    wanted = gradcheck.value_and_gradients(function, wide[:2], wide[2])
    # the sum of the absolute values of what is added up: both factors of each are rounded
    *factors, cotangent = map(abs, wide)
    sums = gradcheck.value_and_gradients(function, factors, cotangent)
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
    wanted = gradcheck.value_and_gradients(ops.matmul, wide[:2], wide[2])
    for got, exact in zip(value_and_gradients(ops.matmul, arrays[:2], arrays[2]), wanted, strict=True):
        np.testing.assert_allclose(got, exact, atol=1e-5)


def product_step(adam, weight, x, factor):
    """A step of Adam for the loss (x @ weight).sum() * factor: every gradient of the product is `factor`."""
    adam.zero_grad()
    loss = ops.matmul(Tensor(x), weight).sum() * factor
    with np.errstate(over="ignore"):  # the emulator's NumPy warns of what is meant to happen
        loss.backward(adam.loss_gradient)
    adam.step()


def weight_and_adam(cupy, scaled):
    weight = Parameter(cupy.asarray(np.ones((3, 2), np.float32)))
    adam = optim.Adam([weight], lr=0.25, loss_scale=optim.LossScale(cupy) if scaled else None)
    return weight, adam, cupy.asarray(np.ones((4, 3), np.float32))


@pytest.mark.parametrize("scaled", [True, False])
def test_a_gradient_too_small_for_float16_survives_with_loss_scaling_and_vanishes_without(rounded, scaled):
    weight, adam, x = weight_and_adam(rounded, scaled)
    adam.eps = 0.0 if scaled else adam.eps  # its 1e-8 is not small beside this gradient
    product_step(adam, weight, x, 1e-8)
    np.testing.assert_allclose(adam.mean.get(), 0.1 * 4e-8 if scaled else 0, rtol=1e-3)
    np.testing.assert_allclose(weight.numpy(), 1 - 0.25 * scaled, rtol=1e-3)  # the first step of Adam is lr


def test_an_overflow_changes_no_bit_but_halves_the_scale_until_it_fits(rounded):
    weight, adam, x = weight_and_adam(rounded, scaled=True)

    def bits():
        return [array.get().tobytes() for array in (weight.data, adam.mean, adam.square)]

    product_step(adam, weight, x, 0.125)
    scales = [float(adam.loss_scale.value.get())]
    before = bits()
    while bits() == before and len(scales) < 20:
        product_step(adam, weight, x, 3.0)
        scales.append(float(adam.loss_scale.value.get()))
    # the gradient of the product is 3: times 2^14 it is below 65504
    assert scales == [2.0**16, 2.0**15, 2.0**14, 2.0**14]
    assert np.isfinite(weight.numpy()).all()
    assert adam.steps == len(scales)


def test_the_scale_doubles_after_enough_steps_without_an_overflow(rounded, monkeypatch):
    monkeypatch.setattr(optim, "GROWTH_INTERVAL", 3)
    weight, adam, x = weight_and_adam(rounded, scaled=True)
    scales = []
    for _ in range(7):
        product_step(adam, weight, x, 1e-3)
        scales.append(float(adam.loss_scale.value.get()) / 2**16)
    assert scales == [1, 1, 2, 2, 2, 4, 4]


@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("values", [1, 1200])  # of a chunk: each image its own, or two of the three together
def test_a_convolution_in_chunks_of_images_is_that_of_the_whole_batch(cupy, monkeypatch, values, needs):
    monkeypatch.setattr(conv, "CUDA_CHUNK_VALUES", values)
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


def to_device_of(tensor, array):
    return backend.array_module(tensor.data).asarray(array)


def batch_norm(x, rest, statistics, training):
    """ops.batch_norm with running statistics of x's dtype and device."""
    gamma, beta, *residual = rest
    statistics = [to_device_of(x, array).astype(x.dtype) for array in statistics]
    return ops.batch_norm(x, gamma, beta, *statistics, training, *residual, relu=True)


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
        (lambda x, array: ops.max_pool2d(array(1, 20, 20, 1), 17, 1), "at most 16x16"),
        (lambda x, array: ops.batch_norm(x, *[array(2)] * 4, training=True), "one value per channel"),
        (lambda x, array: ops.pairwise_order_loss(x[0, 0, 0], np.ones(4)), "one score and one level"),
    ],
)
def test_a_wrong_shape_is_explained_as_on_the_cpu(cupy, action, message):
    def array(*shape):
        return cupy.asarray(np.ones(shape, np.float32))

    with pytest.raises(ValueError, match=message):
        action(Tensor(array(2, 5, 5, 3)), array)


def step(model, images, poses, adam):
    """One step of training; the loss, where it was computed."""
    loss = model.loss("ranking", images, poses).sum()
    adam.zero_grad()
    loss.backward(adam.loss_gradient)
    adam.step()
    return loss.data


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_two_steps_of_training_are_those_of_the_cpu_and_wait_for_nothing(cupy, monkeypatch, request, precision):
    if precision == "float16":
        request.getfixturevalue("rounded")
    # of the gradients NumPy's own float32 is 1e-5 away; a ReLU that rounding switches over costs more: in float16
    # they are 0.01 away down to the first ReLU with such a value, and 0.2 to 0.3 from there on
    rounding, largest_error, left_out = {
        "float32": (1e-5, 1e-3, FLOAT16_ONLY),
        "float16": (4e-3, 0.5, FLOAT32_ONLY),
    }[precision]
    monkeypatch.setattr(optim, "FIRST_SCALE", 2.0**10)  # with which no gradient of these two steps overflows
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, 8, 32, 32, 3)).astype(np.float32)
    poses = rng.uniform(-90, 90, (2, 8, 3)).astype(np.float32)
    exact, model = model_in_float64("siamese"), methods.build("siamese", seed=7).to("cuda")
    scale = optim.loss_scale_for("cuda")
    factor = float(scale.value.get()) if scale else 1.0
    adams = [optim.Adam(exact.parameters(), lr=1e-4), optim.Adam(model.parameters(), lr=1e-4, loss_scale=scale)]
    on_device, poses_on_device = cupy.asarray(images), cupy.asarray(poses)
    emulated = isinstance(kernels.cuda_module(), EmulatedModule)
    for number in range(2):
        wanted = step(exact, Tensor(images[number].astype(float)), poses[number], adams[0])
        with monkeypatch.context() as patch:
            if emulated:  # CuPy's own methods cannot be replaced
                for look in "get", "item", "tolist", "__float__", "__bool__":
                    patch.setattr(
                        cupy.ndarray, look, lambda array: pytest.fail("it waits for the GPU"), raising=False
                    )
            loss = step(model, Tensor(on_device[number]), poses_on_device[number], adams[1])
        np.testing.assert_allclose(loss.get(), wanted, rtol=rounding)
        for (name, p), q in zip(model.named_parameters(), exact.parameters(), strict=True):
            error = np.linalg.norm(p.grad.get() / factor - q.grad)
            assert error <= largest_error * np.linalg.norm(q.grad) + 1e-6, name
    for (name, array), wanted in zip(model.named_buffers(), dict(exact.named_buffers()).values(), strict=True):
        np.testing.assert_allclose(array.get(), wanted, rtol=100 * rounding, atol=10 * rounding, err_msg=name)
    if emulated:
        launched = set(kernel_parameters(kernels.SOURCE.read_text())) - NOT_IN_A_STEP - left_out
        assert set(EmulatedModule.launches) == launched


@pytest.mark.parametrize("make", [optim.Adam, optim.SGD])
def test_an_optimizer_takes_the_same_steps_in_the_memory_of_the_gpu(cupy, make):
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in [(3, 2), (300,), (1, 2, 2)]]
    on_cpu = [Parameter(start.astype(float)) for start in starts]
    on_gpu = [Parameter(cupy.asarray(start)) for start in starts]
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


@pytest.mark.parametrize("name", ["r18n", "resnet50"])
def test_a_folded_network_answers_as_the_whole_one(cupy, name):
    network, rng = resnet.build(name, outputs=3).eval(), np.random.default_rng(0)
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    for layer in network.modules():
        if isinstance(layer, BatchNorm2d):  # as if trained, but so that the signal lives through all the layers
            layer.running_mean[...], layer.bias.data[...] = rng.normal(0, 0.1, (2, len(layer.bias)))
            layer.running_var[...], layer.weight.data[...] = rng.uniform(0.5, 1.5, (2, len(layer.bias)))
    with no_grad():
        wanted = network(Tensor(images)).numpy()
        network.to("cuda")
        on_gpu = cupy.asarray(images)
        whole, folded = network(Tensor(on_gpu)).numpy(), FoldedResNet(network)(on_gpu).get()
    assert np.abs(wanted[0] - wanted[1]).min() > 0.01 * np.abs(wanted).max()  # they are about the images
    for got in whole, folded:
        np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


def trained(cupy, method, graph):
    """Losses and weights of three steps of training, with another batch and another learning rate at each."""
    rng, model = np.random.default_rng(2), methods.build(method, seed=7).to("cuda")
    adam = optim.Adam(model.parameters(), loss_scale=optim.loss_scale_for("cuda"))

    def update(images, poses):
        losses = model.loss(model.stages[0], Tensor(images), poses)
        adam.zero_grad()
        losses.sum().backward(adam.loss_gradient)
        adam.apply()
        return losses.data

    update, losses = CudaGraph(update) if graph else update, []
    for lr in 1e-3, 2e-3, 5e-4:
        batch = [
            array.astype(np.float32) for array in (rng.normal(size=(4, 16, 16, 3)), rng.uniform(-90, 90, (4, 3)))
        ]
        adam.lr = lr
        adam.advance()
        with np.errstate(over="ignore", invalid="ignore"):  # in float16 the first loss scale is too large
            losses.append(update(*map(cupy.asarray, batch)))
    return [loss.get() for loss in losses], [array.tobytes() for array in model.state_dict().values()]


@pytest.mark.parametrize(
    ("method", "precision"), [*((method, "float32") for method in methods.METHODS), ("siamese", "float16")]
)
def test_a_replayed_training_step_leaves_the_same_bits_as_an_ordinary_one(
    cupy, monkeypatch, request, method, precision
):
    monkeypatch.setattr(emulator, "ORDERS", emulator.ORDERS[:1])  # of threads; other tests try them all
    if method == "siamese-same" and not isinstance(kernels.cuda_module(), EmulatedModule):
        pytest.skip("CuPy adds the gradients of an image's pairs up in any order: no two runs are the same")
    if precision == "float16":
        request.getfixturevalue("rounded")
    ordinary, replayed = trained(cupy, method, False), trained(cupy, method, True)
    np.testing.assert_array_equal(replayed[0], ordinary[0])
    assert len({loss.tobytes() for loss in replayed[0]}) == 3
    assert replayed[1] == ordinary[1]


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
