"""Ten steps of training from a fixed seed: the losses of today are those that were recorded, and torch's."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.test_networks import needs_torch, torch_basic_resnet
from tinyhpe import methods
from tinyhpe.optim import Adam
from tinyhpe.tensor import Tensor

LEARNING_RATE = 1e-3
RECORDED = {  # losses of ten steps
    "siamese": [
        2.130969039341526,
        1.8162318267645408,
        1.9585988215214702,
        2.022736426036911,
        1.5874826031892821,
        1.6234437970090758,
        1.6544728581720969,
        1.4103335412417826,
        1.4768436381494774,
        1.650699429650954,
    ],
    "direct": [
        10.355653560876437,
        7.237152039823428,
        8.607388585625976,
        7.482200091536452,
        4.164520340581958,
        5.433417966082232,
        4.156613555149113,
        3.809132523282683,
        4.628744098496897,
        5.657850363976609,
    ],
}


def in_float64(model):
    """The model with weights and statistics in float64: there rounding is far below any tolerance."""
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
    for module in model.modules():
        for name in module.buffer_names:
            setattr(module, name, getattr(module, name).astype(np.float64))
    return model


def batches():
    """Ten batches of 8 images, (8, 48, 48, 3), and poses: waves whose direction and length follow the pose."""
    rng = np.random.default_rng(3)
    across, down = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48))
    for _ in range(10):
        poses = rng.uniform(-90, 90, (8, 3))
        yaw, pitch, roll = poses.T[:, :, None, None] / 30
        images = np.stack(
            [np.sin(yaw * across + pitch), np.cos(pitch * down - roll), np.sin(roll * across * down)], -1
        )
        yield images + rng.normal(0, 0.1, images.shape), poses


@threadpool_limits.wrap(limits=1, user_api="blas")  # as in training
def losses_of_ten_steps(method, stage):
    model = in_float64(methods.build(method, seed=7))
    adam, losses = Adam(model.parameters(), lr=LEARNING_RATE), []
    for images, poses in batches():
        loss = model.loss(stage, Tensor(images), poses).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("method", "stage"), [("siamese", "ranking"), ("direct", "training")])
def test_ten_steps_reproduce_the_recorded_losses(method, stage):
    np.testing.assert_allclose(losses_of_ten_steps(method, stage), RECORDED[method], rtol=1e-9)


@needs_torch
def test_ten_steps_are_those_of_torch():
    import torch

    backbone = in_float64(methods.build("direct", seed=7)).backbone
    state = {name: torch.tensor(array) for name, array in backbone.state_dict().items()}
    trained = [state[name].requires_grad_() for name, _ in backbone.named_parameters()]
    adam, losses = torch.optim.Adam(trained, lr=LEARNING_RATE), []
    for images, poses in batches():
        outputs = torch_basic_resnet(torch, state, torch.tensor(images).permute(0, 3, 1, 2), training=True)
        loss = ((outputs - torch.tensor(poses / 30)) ** 2).mean(dim=0).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses_of_ten_steps("direct", "training"), losses, rtol=1e-9)
