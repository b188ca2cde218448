"""The training loop: it learns, stops, resumes to the bit, and writes what it promises."""

import json
import os
import signal

import numpy as np
import pytest

from tinyhpe import methods
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.errors import InputError
from tinyhpe.train import Interrupted, Run, Settings, batch_order, read_settings, split, stage_of

TINY = Settings(input_size=32, epochs=2, batch_size=8, balanced=False, seed=3)


def blobs(count, size=43):
    """Heads for the poor: a bright blob whose place is yaw and pitch, and whose colour is roll."""
    rng = np.random.default_rng(0)
    poses = rng.uniform(-60, 60, (count, 3)).astype(np.float32)
    y, x = np.mgrid[:size, :size]
    centre = size / 2 + poses[:, :2, None, None] / 60 * size * 0.2
    blob = np.exp(-((x - centre[:, 0]) ** 2 + (y + centre[:, 1] - size) ** 2) / 20)
    tint = 0.5 + poses[:, 2] / 120
    images = np.stack([blob * tint[:, None, None], blob * (1 - tint[:, None, None]), blob], axis=-1)
    return HeadCrops((255 * images).astype(np.uint8), poses, [f"blob{i}" for i in range(count)])


def weights(run):
    return {name: array.tobytes() for name, array in run.model.state_dict().items()}


@pytest.mark.parametrize("stop_after", [3, 8, 13])  # in the first stage, at its very end, in the second
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(tmp_path, stop_after):
    crops = blobs(64)
    whole = Run(TINY, crops, tmp_path / "whole")
    whole.train(progress=False)

    stopped = Run(TINY, crops, tmp_path / "stopped")
    step, steps = stopped.step, []

    def step_and_stop(*batch):
        steps.append(None)
        if len(steps) == stop_after:
            os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C in the middle of a step
        return step(*batch)

    stopped.step = step_and_stop
    with pytest.raises(Interrupted):
        stopped.train(progress=False)
    assert len(steps) == stop_after

    resumed = Run(read_settings(tmp_path / "stopped"), crops, tmp_path / "stopped")
    resumed.load_checkpoint()
    resumed.train(progress=False)
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path):
    results = []
    for seed in (1, 1, 2):
        run = Run(Settings(method="direct", input_size=32, epochs=1, batch_size=8, seed=seed), blobs(32), tmp_path)
        run.train(progress=False)
        results.append(weights(run))
    assert results[0] == results[1] != results[2]


def test_both_stages_learn_and_the_folder_holds_what_is_promised(tmp_path):
    settings = Settings(input_size=32, epochs=6, batch_size=16, lr=3e-3, balanced=False)
    training, validation = split(blobs(400))
    run = Run(settings, training, tmp_path)
    run.train(progress=False)
    by_stage = {"ranking": [], "fine-tuning": []}
    for entry in run.history:
        by_stage[entry["stage"]].append(entry["yaw"] + entry["pitch"])
    assert [len(losses) for losses in by_stage.values()] == [3, 3]
    assert all(losses[-1] < losses[0] for losses in by_stage.values())
    assert by_stage["ranking"][0] < 2 * np.log(2)  # better than answering 1/2 to every pair

    run.save_model()
    run.save_report({"n": len(validation)})
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["history"] == run.history
    assert metrics["settings"]["lr"] == 3e-3
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    loaded, description = methods.load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(validation.images[:4]), run.model.predict(validation.images[:4]))
    assert description["method"] == "siamese"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "loss.png",
        "metrics.json",
        "model.safetensors",
    ]


def test_validation_images_are_never_trained_on():
    training, validation = split(blobs(100))
    assert (len(training), len(validation)) == (95, 5)
    assert not set(training.names) & set(validation.names)
    place = training.names.index("blob50")
    np.testing.assert_array_equal(training.images[[place]][0], blobs(100).images[50])
    np.testing.assert_array_equal(training.poses[place], blobs(100).poses[50])


def test_an_epoch_visits_every_image_once_unless_balanced():
    poses = np.zeros((64, 3), np.float32)
    poses[:4, 0] = 80  # rare
    plain = batch_order(TINY, poses, epoch=0)
    assert sorted(plain.ravel()) == list(range(64))
    assert (batch_order(TINY, poses, epoch=1) != plain).any()
    balanced = [batch_order(Settings(batch_size=8, balanced=True), poses, epoch) for epoch in range(50)]
    share_of_rare = np.mean([(order < 4).mean() for order in balanced])
    assert share_of_rare > 2 * 4 / 64


def test_stages_share_the_epochs():
    assert [stage_of(("a", "b"), 5, epoch) for epoch in range(5)] == [("a", 0, 2)] * 2 + [("b", 2, 5)] * 3


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        ({"epochs": 1}, 64, "at least one epoch for each"),
        ({"batch_size": 1}, 64, "pairs"),
        ({"batch_size": 32}, 20, "fewer than one batch"),
        ({"method": "nothing"}, 64, "unknown method"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings, images, message, tmp_path):
    with pytest.raises(InputError, match=message):
        Run(Settings(**settings), blobs(images), tmp_path)


def test_too_few_images_and_a_diverging_loss_are_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="19 images are too few"):
        split(blobs(19))
    run = Run(Settings(method="direct", input_size=32, epochs=1, batch_size=8, lr=1.0), blobs(64), tmp_path)
    run.model.backbone.fc.bias.data[0] = np.inf
    with pytest.raises(InputError, match="smaller --lr"):
        run.train(progress=False)


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    Run(TINY, blobs(64), tmp_path).save_checkpoint()
    with pytest.raises(InputError, match="other data"):
        Run(TINY, blobs(65), tmp_path).load_checkpoint()


def test_a_model_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_settings(tmp_path)
    methods.save_model(tmp_path / "checkpoint.safetensors", methods.build("direct"), {})
    with pytest.raises(InputError, match="not a checkpoint of this version"):
        read_settings(tmp_path)
