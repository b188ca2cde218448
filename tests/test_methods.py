"""The methods: what the paper says of them, in numbers."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tinyhpe import methods, ops
from tinyhpe.datasets.crops import HeadCrops
from tinyhpe.datasets.preprocess import unvaried
from tinyhpe.errors import InputError
from tinyhpe.heads.shape import reference_landmarks
from tinyhpe.methods.hopenet import HopeNet
from tinyhpe.methods.quatnet import LIMITS, QUATERNION_WEIGHT, QuatNet
from tinyhpe.methods.rotation import LEVEL, SiameseRotation, nearest_rotation
from tinyhpe.methods.siamese import Siamese
from tinyhpe.methods.two_branch import SiameseTwoBranch, two_branch_loss
from tinyhpe.optim import Adam
from tinyhpe.pose.angles import euler_to_matrix, geodesic, matrix_to_euler
from tinyhpe.tensor import Tensor
from tinyhpe.train import Settings
from tinyhpe.weight_files import save_arrays


def some_crops(count, size=43):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    return images, rng.uniform(-60, 60, (count, 3)).astype(np.float32)


def labels(model, poses):
    """The poses, or for methods that learn landmarks, those that our mean head has at these poses."""
    if model.learns == "poses":
        return poses
    half, head = model.input_size / 2, reference_landmarks() @ euler_to_matrix(poses).swapaxes(1, 2)
    return (half + half / 3 * head[..., :2] * (1, -1)).astype(np.float32)


def seen(images):
    """What a network that takes whole crops sees of them."""
    return Tensor(unvaried(images, images.shape[1]))


def test_the_ensemble_layer_runs_the_backbone_once_on_each_image():
    images, poses = some_crops(6)
    model, counts = Siamese(input_size=43), []
    backbone_forward = model.backbone.forward
    model.backbone.forward = lambda x: counts.append(len(x)) or backbone_forward(x)
    model.loss("ranking", seen(images), poses)
    assert counts == [6]  # not the 30 or 15 of the pairs


def test_ranking_losses_of_the_three_angles_are_separate():
    images, poses = some_crops(4)
    poses[:, 1] = 10.0  # all pitches on one level: the best loss is log 2, at equal scores
    model = Siamese(input_size=43)
    model.backbone.fc.weight.data[:, 1] = 0
    losses = model.loss("ranking", seen(images), poses)
    assert losses[1].item() == pytest.approx(np.log(2), rel=1e-6)
    losses.sum().backward()
    np.testing.assert_allclose(model.backbone.fc.weight.grad[:, 1], 0, atol=1e-7)
    assert np.abs(model.backbone.fc.weight.grad[:, 0]).max() > 1e-3


def test_the_affine_fit_turns_scores_on_any_scale_into_degrees():
    images, _ = some_crops(40)
    model = Siamese(input_size=32)
    scores = model.evaluate_network(images)
    slopes, intercepts = np.array([50.0, -7.0, 3.0]), np.array([1.0, -20.0, 5.0])
    model.fit_head(scores, scores * slopes + intercepts)  # as if the scores were right, on another scale
    np.testing.assert_allclose(model.predict(images), scores * slopes + intercepts, atol=1e-3)


def test_the_affine_fit_is_the_best_line_for_noisy_scores():
    images, poses = some_crops(40)
    model = Siamese(input_size=32)
    scores = model.evaluate_network(images)
    model.fit_head(scores, poses)
    residual = model.predict(images) - poses
    for i in range(3):  # normal equations: the residual is orthogonal to 1 and to the score
        np.testing.assert_allclose([residual[:, i].mean(), (residual[:, i] * scores[:, i]).mean()], 0, atol=1e-3)


def test_hopenet_answers_the_expected_angle_of_its_softmax():
    logits = np.full((1, 3, 66), -1e4, np.float32)
    logits[0, 0, 33] = 0.0  # yaw: all on the level [0, 3)
    logits[0, 1, [33, 35]] = 0.0  # pitch: half on [0, 3), half on [6, 9)
    logits[0, 2] = 0.0  # roll: anything
    np.testing.assert_allclose(HopeNet(input_size=32).decode(logits.reshape(1, -1)), [[1.5, 4.5, 0.0]], atol=1e-9)


def answering(model, outputs):
    """The model, with a network that gives these outputs whatever it sees."""
    model.forward = lambda images: Tensor(outputs.astype(np.float32))
    return model


def test_the_two_settings_of_hopenets_paper_weigh_the_squared_error_of_the_expected_angle():
    images, poses = some_crops(4, 32)
    outputs = np.random.default_rng(0).normal(size=(4, 3 * 66))
    names = "hopenet-alpha1", "hopenet-alpha2"
    models = [answering(methods.build(name, input_size=32), outputs) for name in names]
    first, second = (model.loss("training", images, poses).data for model in models)
    np.testing.assert_allclose(second - first, ((models[0].decode(outputs) - poses) ** 2).mean(axis=0), rtol=1e-5)


def test_two_branches_that_are_shown_all_pairs_learn_what_the_ensemble_layer_does():
    rng = np.random.default_rng(2)
    images, levels, weight = rng.normal(size=(7, 5)), rng.integers(0, 4, (7, 3)), Tensor(rng.normal(size=(5, 3)))
    first, second = np.nonzero(~np.eye(7, dtype=bool))
    pairs = (Tensor(images[first]), Tensor(images[second]), levels[first], levels[second])
    found = two_branch_loss(lambda x: x @ weight, *pairs)
    np.testing.assert_allclose(found.data, ops.pairwise_order_loss(Tensor(images) @ weight, levels).data)


def test_the_standard_siamese_network_pairs_the_halves_of_a_batch():
    images, poses = some_crops(7, 32)
    model, seen_by_branches = SiameseTwoBranch(input_size=32), []
    backbone_forward = model.backbone.forward
    model.backbone.forward = lambda x: seen_by_branches.append(x.data) or backbone_forward(x)
    batch = seen(images)
    losses = model.loss("ranking", batch, poses)
    first, second = seen_by_branches
    assert (first == batch.data[:3]).all()
    assert (second == batch.data[3:6]).all()  # and the seventh image is left over
    differences = backbone_forward(Tensor(first)).data - backbone_forward(Tensor(second)).data
    above = np.floor(poses[:3] / 3) > np.floor(poses[3:6] / 3)  # there are no equal ones
    assert (np.floor(poses[:3] / 3) != np.floor(poses[3:6] / 3)).all()
    expected = np.log1p(np.exp(-np.where(above, differences, -differences))).mean(axis=0)
    np.testing.assert_allclose(losses.data, expected, rtol=1e-5)


def test_quatnet_is_right_whatever_the_length_of_its_quaternion_and_knows_what_is_above_each_limit():
    images, poses = some_crops(20)
    xyzw = Rotation.from_matrix(euler_to_matrix(poses)).as_quat(canonical=True)
    quaternions = xyzw[:, [3, 0, 1, 2]]
    lengths = np.geomspace(0.1, 10, 20)[:, None]
    logits = np.empty((20, 3, LIMITS))
    for i, angle, limit in np.ndindex(logits.shape):
        logits[i, angle, limit] = 50 if poses[i, angle] >= -96 + 3 * limit else -50
    outputs = np.concatenate([lengths * quaternions, logits.reshape(20, -1)], axis=1)
    model = QuatNet(input_size=32)
    np.testing.assert_allclose(answering(model, outputs).loss("training", images, poses).data, 0, atol=1e-4)
    for sign in (1, -1):
        np.testing.assert_allclose(model.decode(sign * outputs), poses, atol=1e-3)
    wrong = answering(model, np.concatenate([-quaternions, -outputs[:, 4:]], axis=1))
    squared = QUATERNION_WEIGHT * 2**2 / 4  # q and -q are 2 apart: the mean over the four numbers
    np.testing.assert_allclose(wrong.loss("training", images, poses).data, [squared, 50, 50, 50], rtol=1e-3)


def test_keypoints_with_the_landmarks_of_the_mean_head_gives_its_pose_whatever_pose_zero_is_in_the_data():
    _, poses = some_crops(30)
    model = methods.build("keypoints", input_size=32)
    landmarks = labels(model, poses)
    outputs = (landmarks / 16 - 1).reshape(30, -1)
    assert geodesic(model.decode(outputs), poses).max() < 0.01
    tipped = matrix_to_euler(euler_to_matrix(poses) @ euler_to_matrix([0, 7, 0]))  # they call another head upright
    hidden = HeadCrops(None, tipped.astype(np.float32), [], landmarks=np.full_like(landmarks, np.nan))
    model.begin_stage("training", hidden)  # tells nothing
    assert geodesic(model.decode(outputs), poses).max() < 0.01
    landmarks[3, 8] = np.nan  # one that is not visible
    model.begin_stage("training", HeadCrops(None, tipped.astype(np.float32), [], landmarks=landmarks))
    assert geodesic(model.decode(outputs), tipped).max() < 0.01


def test_keypoints_losses_are_mean_distances_and_pass_over_landmarks_that_are_not_visible():
    images, poses = some_crops(2, 32)
    model = methods.build("keypoints", input_size=32)
    landmarks = labels(model, poses)
    outputs = (landmarks / 16 - 1).reshape(2, -1)
    outputs[0, 2 * 30] += 0.5  # the tip of the nose, one of nine landmarks of the nose, in one of two images
    outputs[1, 2 * 8 + 1] -= 0.5
    landmarks[1, 8] = np.nan  # the chin
    losses = answering(model, outputs).loss("training", images, landmarks).data
    np.testing.assert_allclose(losses, [0, 0, 0.5 / (2 * 2 * 9), 0, 0], atol=1e-6)


def test_nearest_rotation_is_that_of_the_orthogonal_procrustes_problem_and_no_reflection():
    matrices = np.random.default_rng(0).normal(size=(200, 3, 3))
    # Kabsch's algorithm in SciPy: the rotation that takes the axes e1, e2, e3 nearest to the three columns
    expected = [Rotation.align_vectors(matrix.T, np.eye(3))[0].as_matrix() for matrix in matrices]
    np.testing.assert_allclose(nearest_rotation(matrices), expected, atol=1e-9)


def test_round_gimbal_lock_the_rotation_is_read_well_from_outputs_that_are_off_by_little():
    rng, model = np.random.default_rng(1), SiameseRotation(input_size=32)
    angle, sign = rng.uniform(-90, 90, 300), rng.choice([-1, 1], 300)
    poses = np.stack([89.9 * sign, angle, sign * angle], axis=1)  # pitch and roll undo each other
    outputs = model.targets(poses)
    np.testing.assert_allclose(outputs, model.targets(poses * (1, 0, 0)), atol=4e-3)
    assert geodesic(model.decode(outputs), poses).max() < 1e-6
    noisy = outputs + rng.normal(0, 0.02, outputs.shape)
    assert geodesic(model.decode(noisy), poses).max() < 5  # 0.02 is 1.1 degrees
    assert np.abs(model.decode(noisy) - poses).max() > 30  # though the angles are anything


def test_outputs_that_are_no_numbers_give_poses_that_are_none_and_spare_the_others():
    model = SiameseRotation(input_size=32)
    outputs = np.concatenate([model.targets(np.float32([[10, 20, 30]])), np.full((1, 9), np.nan)])
    np.testing.assert_allclose(model.decode(outputs), [[10, 20, 30], [np.nan] * 3], rtol=1e-5)


def test_the_rotation_is_ranked_and_fitted_entry_by_entry():
    _, poses = some_crops(60)
    model = SiameseRotation(input_size=32)
    entries = Rotation.from_euler("XYZ", -poses[:, [1, 0, 2]], degrees=True).as_matrix().reshape(-1, 9)
    np.testing.assert_allclose(model.targets(poses), entries, atol=1e-6)
    levels = model.levels(poses)
    assert np.abs(entries - LEVEL * (levels + 0.5)).max() <= LEVEL / 2 + 1e-6
    model.fit_head(entries * np.arange(1, 10) + 3, poses)  # as if the scores were right, on scales of their own
    weight, bias = model.backbone.fc.weight.data, model.backbone.fc.bias.data
    fresh = SiameseRotation(input_size=32).backbone.fc
    np.testing.assert_allclose(weight, fresh.weight.data / np.arange(1, 10), rtol=1e-4)
    np.testing.assert_allclose(bias, (fresh.bias.data - 3) / np.arange(1, 10), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_trains_all_its_parameters_and_answers_in_degrees(name):
    images, poses = some_crops(5)
    model = methods.build(name, input_size=43)
    for stage in model.stages:
        losses = model.loss(stage, seen(images), labels(model, poses))
        assert losses.shape == (len(model.parts),)
        losses.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    looked_at = images if model.sees == "images" else images[..., 0] / 255
    assert model.predict(looked_at).shape == (5, 3)
    assert model.predict(looked_at[:0]).shape == (0, 3)


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_learns_a_little_in_a_few_steps(name):
    images, poses = some_crops(8, 32)
    model = methods.build(name, input_size=32)
    for stage in model.stages:
        optimizer, losses = Adam(model.parameters(), model.lr / 4), []  # eight images are few
        for _ in range(12):
            loss = model.loss(stage, seen(images), labels(model, poses)).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]


def test_each_method_has_its_learning_rate_unless_another_is_asked_for():
    assert {name: Settings(method=name).lr for name in ("siamese", "patacchiola")} == {
        "siamese": 6e-3,
        "patacchiola": 1e-3,
    }
    assert Settings(method="patacchiola", lr=0.5).lr == 0.5


def test_prediction_looks_at_the_centre_and_leaves_the_statistics_alone():
    images, _ = some_crops(3)
    model = methods.build("direct", input_size=32)
    before = model.backbone.bn1.running_mean.copy()
    expected = model.predict(images)
    images[:, :5], images[:, :, -5:] = 0, 255
    np.testing.assert_array_equal(model.predict(images), expected)
    np.testing.assert_array_equal(model.backbone.bn1.running_mean, before)
    assert model.training


def test_a_gpu_is_sent_bytes_and_answers_as_the_cpu_does(cupy, monkeypatch):
    images, _ = some_crops(3)
    model, sent, asarray = methods.build("direct", input_size=32), [], cupy.asarray
    expected = model.predict(images)
    model.to("cuda").predict(images[:1])  # sends mean and standard deviation, once

    def noted(array, *args, **settings):  # CuPy itself calls it, too, with more than the array
        sent.append(array)
        return asarray(array, *args, **settings)

    monkeypatch.setattr(cupy, "asarray", noted, raising=False)
    np.testing.assert_allclose(model.predict(images), expected, rtol=1e-3, atol=1e-3)
    from_cpu = [array.nbytes for array in sent if isinstance(array, np.ndarray)]
    assert sum(from_cpu) == images.nbytes


def test_crops_are_taken_as_a_list_too_or_refused_in_one_sentence():
    crops, model = np.full((2, 48, 48, 3), 99, np.uint8), methods.build()
    expected = model.predict(crops)
    np.testing.assert_array_equal(model.predict(list(crops)), expected)
    assert model.predict(crops[:0]).shape == (0, 3)
    for wrong, message in (np.ma.masked_array(crops), "lose its mask"), (None, "holds no numbers"):
        with pytest.raises(TypeError, match=message):
            model.predict(wrong)


def test_a_saved_model_is_built_again_from_its_file_alone(tmp_path):
    images, _ = some_crops(3)
    model = methods.build("hopenet", stem="3x3", input_size=32, seed=5)
    description = {"method": "hopenet", "network": "r18n", "stem": "3x3", "input_size": 32}
    methods.save_model(tmp_path / "model.safetensors", model, description)
    loaded = methods.load_model(tmp_path)
    assert loaded.description == description
    assert not any(module.training for module in loaded.modules())
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))


@pytest.mark.parametrize("size", [0, 10**5, "48", None, 48.0, [48]])
def test_a_model_file_of_an_absurd_input_size_is_refused(tmp_path, size):
    description = {"method": "direct", "network": "r18n", "stem": "7x7", "input_size": size}
    methods.save_model(tmp_path / "model.safetensors", methods.build("direct"), description)
    with pytest.raises(InputError, match="input_size"):
        methods.load_model(tmp_path)


def test_files_that_are_no_model_of_ours_are_refused(tmp_path):
    save_arrays(tmp_path / "foreign.safetensors", {"w": np.ones(2, np.float32)}, {})
    with pytest.raises(InputError, match="method is None"):
        methods.load_model(tmp_path / "foreign.safetensors")
    description = {"method": "siamese", "network": "resnet18", "stem": "7x7", "input_size": 48}
    methods.save_model(tmp_path / "other.safetensors", methods.build("direct"), description)
    with pytest.raises(InputError, match="another architecture"):
        methods.load_model(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="choose one of siamese"):
        methods.build("quaternion")
    with pytest.raises(InputError, match="choose one of resnet18"):
        methods.build("direct", network="vgg")
