"""Threads: the same numbers as without, and errors that arrive."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tinyhpe import parallel
from tinyhpe.fast import folded
from tinyhpe.nn import resnet
from tinyhpe.ops import norm, pool
from tinyhpe.tensor import Tensor


def training_step(images):
    network = resnet.build("r18n", outputs=3)
    for parameter in network.parameters():
        parameter.data = parameter.data.astype(images.dtype)
    output = network(Tensor(images))
    output.backward(np.ones_like(output.data))
    return [output.data, *(parameter.grad for parameter in network.parameters())]


def test_a_training_step_on_three_threads_gives_the_gradients_of_one(monkeypatch):
    for module, name in (
        (parallel, "PART_PRODUCTS"),
        (norm, "PART_CHUNKS"),
        (norm, "CHUNK_VALUES"),
        (pool, "PART_VALUES"),
    ):
        monkeypatch.setattr(module, name, 1)  # else so small a batch is not worth a thread
    images = np.random.default_rng(0).normal(size=(7, 64, 48, 3))  # 7: the parts differ in length
    expected = training_step(images)
    with parallel.threads(3):
        for actual, single in zip(training_step(images), expected, strict=True):
            np.testing.assert_allclose(actual, single, rtol=1e-9, atol=1e-9 * np.abs(single).max())


@pytest.mark.parametrize("size", [(64, 48), (224, 200)])  # without and with layers for Winograd's convolution
def test_a_prediction_on_three_threads_is_that_on_one(monkeypatch, size):
    monkeypatch.setattr(parallel, "PART_PRODUCTS", 1)
    network = folded.FoldedResNet(resnet.build("resnet50", outputs=3).eval())
    image = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
    expected = network(image)
    with parallel.threads(3):
        np.testing.assert_allclose(network(image), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("threads", "count", "least", "expected"),
    [(1, 5, 1, 1), (2, 5, 1, 2), (3, 2, 1, 2), (2, 0, 1, 1), (4, 7, 3, 2)],
)
def test_the_parts_cover_everything_once(threads, count, least, expected):
    with parallel.threads(threads):
        parts = parallel.over_parts(lambda part: list(range(count))[part], count, least)
    assert [number for part in parts for number in part] == list(range(count))
    assert len(parts) == expected


def test_an_error_in_a_thread_arrives_and_the_settings_come_back():
    def fail(part):
        if part.start:
            raise ValueError("in the second part")

    blas = [library["num_threads"] for library in threadpool_info()]
    with pytest.raises(ValueError, match="second part"), parallel.threads(2):
        parallel.over_parts(fail, 2)
    assert [library["num_threads"] for library in threadpool_info()] == blas
    assert len(parallel.over_parts(lambda part: part, 4)) == 1


def test_whoever_works_on_a_part_makes_no_further_parts():
    with parallel.threads(3):
        inner = parallel.over_parts(lambda part: parallel.over_parts(lambda within: within, 10), 6)
        assert inner == [[slice(0, 10)]] * 3
        with pytest.raises(ZeroDivisionError):
            parallel.over_parts(lambda part: 1 / 0, 6)
        assert len(parallel.over_parts(lambda part: part, 6)) == 3  # afterwards it does, even after an error
