"""Which poses are drawn: against the paper's histograms, and against what photos of profiles look like."""

import numpy as np
import pytest

from tinyhpe.pose.angles import euler_to_matrix, matrix_to_view
from tinyhpe.pose.sampling import W300LP_PITCH, W300LP_ROLL, W300LP_YAW, fig4_poses, photographed_poses


def test_the_histograms_count_all_images_of_300w_lp():
    # The data set has 122,450; the figure's three histograms each add up to that.
    assert [len(h) for h in (W300LP_YAW, W300LP_PITCH, W300LP_ROLL)] == [68, 68, 68]
    assert W300LP_YAW.sum() == W300LP_PITCH.sum() == W300LP_ROLL.sum()


def test_poses_of_fig_4_follow_the_histograms():
    poses = fig4_poses(np.random.default_rng(2), 60_000)
    for column, histogram in zip(poses.T, (W300LP_YAW, W300LP_PITCH, W300LP_ROLL), strict=True):
        drawn = np.histogram(column, np.arange(-99, 102, 3))[0] / 60_000
        assert np.abs(drawn - histogram[1:-1] / histogram[1:-1].sum()).max() < 0.004


def test_photographed_heads_turn_as_in_fig_4_before_cameras_that_know_nothing_of_it():
    poses = photographed_poses(np.random.default_rng(0), 60_000)
    turn, elevation, tilt = matrix_to_view(euler_to_matrix(poses)).T
    assert np.abs(poses).max() <= 99
    drawn = np.histogram(turn, np.arange(-99, 102, 3))[0] / len(turn)
    assert np.abs(drawn - W300LP_YAW[1:-1] / W300LP_YAW[1:-1].sum()).max() < 0.004
    assert np.median(elevation) == pytest.approx(-4, abs=0.3)
    assert np.median(tilt) == pytest.approx(0, abs=0.3)
    # 95 % normal, 5 % uniform within 60; redrawn are those few whose labels are beyond 99
    expected = np.sqrt(0.95 * np.array([11**2 + 4**2, 9**2]) + 0.05 * 60**2 / 3)
    assert np.sqrt([(elevation**2).mean(), (tilt**2).mean()]) == pytest.approx(expected, rel=0.05)
    assert np.abs(np.corrcoef([np.abs(turn), elevation, tilt]) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize(("draw", "pitch", "roll"), [(photographed_poses, 43, 42), (fig4_poses, 12, 8)])
def test_profiles_have_the_large_angles_of_photos_or_those_of_each_angle_on_its_own(draw, pitch, roll):
    # AFLW2000's photos beyond 75 degrees of turn have 44 and 45
    poses = draw(np.random.default_rng(1), 20_000)
    profiles = poses[np.abs(matrix_to_view(euler_to_matrix(poses))[:, 0]) > 75]
    assert np.abs(profiles).mean(axis=0)[1:] == pytest.approx([pitch, roll], abs=1.5)
