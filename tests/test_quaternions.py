"""Quaternions against SciPy's, which have w last and whose rotations turn the other way round."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.test_tensor import pretend_gpu
from tinyhpe.pose.quaternions import euler_to_quaternion, quaternion_to_matrix


def some_poses():
    return np.random.default_rng(0).uniform(-99, 99, (300, 3))


def test_the_quaternion_of_a_pose_is_scipys_with_w_first_and_not_negative():
    poses = some_poses()
    scipys = Rotation.from_euler("XYZ", -poses[:, [1, 0, 2]], degrees=True).as_quat(canonical=True)
    np.testing.assert_allclose(euler_to_quaternion(poses), scipys[:, [3, 0, 1, 2]], atol=1e-12)
    assert euler_to_quaternion(poses.astype(np.float32)).dtype == np.float32


def test_a_quaternion_of_any_length_and_sign_is_scipys_rotation():
    rng = np.random.default_rng(1)
    quaternions = rng.normal(size=(300, 4)) * rng.uniform(-9, 9, (300, 1))
    expected = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(quaternion_to_matrix(quaternions), expected, atol=1e-12)


def test_the_quaternions_of_poses_on_a_gpu_stay_there(monkeypatch):
    poses = some_poses()
    with pretend_gpu(monkeypatch) as cupy:
        found = euler_to_quaternion(cupy.asarray(poses))
    np.testing.assert_array_equal(found.on_device, euler_to_quaternion(poses))
