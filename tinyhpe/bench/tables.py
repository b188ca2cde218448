"""The benchmark's other tables: what each quicker way buys, the ensemble layer's law, the loader."""

import numpy as np

from tinyhpe import ops
from tinyhpe.bench.timing import median_times
from tinyhpe.bench.workloads import WORKLOADS, Workload, example, our_step
from tinyhpe.datasets import rendered
from tinyhpe.datasets.crops import crop_size
from tinyhpe.datasets.loader import Loader, images_per_second
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.methods.two_branch import two_branch_loss
from tinyhpe.nn import resnet
from tinyhpe.ops.conv import Conv2d
from tinyhpe.ops.norm import BatchNorm
from tinyhpe.ops.pool import MaxPool2d
from tinyhpe.optim import Adam
from tinyhpe.tensor import Tensor
from tinyhpe.ways import ALL, without

USED = ("r18n-default-train", "resnet50-train", "r18n-predict", "resnet50-predict")  # what users run
PAIRED_IMAGES = (4, 8, 16, 32)
LOADER_HEADS, LOADER_INPUT = 200, 48  # images, and their side in pixels


def measure_ways():
    """Each workload with one quicker way left out, and with all of them: how many times as long it takes."""
    doers = Conv2d, BatchNorm, MaxPool2d, resnet.ResNet
    names = [way.__name__ for doer in doers for way in doer.ways if "cuda" not in way.__module__]
    rows = {name: {"left_out": name} for name in (*names, ALL)}
    for workload in USED:
        step = our_step(WORKLOADS[workload])
        functions = {name: leaving_out(name, step) for name in rows}
        times = median_times({"none": step, **functions}, WORKLOADS[workload].seconds)
        for name, row in rows.items():
            row[workload] = times[name] / times["none"]
    return list(rows.values())


def leaving_out(name, step):
    """The same step without the ways of a name."""

    def plainer():
        with without(name):
            step()

    return plainer


def measure_ensemble():
    """The ensemble layer against the standard Siamese network with two branches, on all pairs of n images.

    The ensemble layer runs the backbone once on each image, and pairs the scores. The standard network is given
    batches of n pairs, two backbones each, until all pairs have been seen: n (n - 1) ordered ones, or half of
    them unordered. "law" is the ratio of the backbone passes.
    """
    return [measure_pairs(n) for n in PAIRED_IMAGES]


def measure_pairs(n):
    """A row of measure_ensemble()."""
    network = resnet.build("r18n", outputs=1)
    optimizer = Adam(network.parameters())
    images = unvaried(example(Workload("r18n", n, 64, True), n)[0], 64)
    levels = np.arange(n)[:, None]
    first, second = np.nonzero(~np.eye(n, dtype=bool))

    def update(loss):
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def ensemble():
        update(ops.pairwise_order_loss(network(Tensor(images)), levels).sum())

    def siamese():
        for start in range(0, len(first), n):
            i, j = first[start : start + n], second[start : start + n]
            update(two_branch_loss(network, Tensor(images[i]), Tensor(images[j]), levels[i], levels[j]).sum())

    times = median_times({"ensemble": ensemble, "siamese": siamese}, seconds=5)
    ratio = times["siamese"] / times["ensemble"]
    row = {"n": n, "ensemble_ms": times["ensemble"], "siamese_ordered_ms": times["siamese"]}
    row |= {"ratio_ordered": ratio, "law_ordered": 2 * (n - 1)}
    return row | {"ratio_unordered": ratio / 2, "law_unordered": n - 1}


def measure_loader():
    """How many images a second the loader prepares: read and augmented; with 0 to 2 worker processes."""
    heads = rendered.load(LOADER_HEADS, crop_size(LOADER_INPUT))
    loader = Loader(heads, LOADER_INPUT, batch_size=32, balanced=True, seed=0)
    return [{"workers": workers, "images_per_s": images_per_second(loader, workers)} for workers in (0, 1, 2)]


TABLES = {"ways": measure_ways, "ensemble": measure_ensemble, "loader": measure_loader}
