# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 7. Each cell stands in place of the exercise cell of the same number."""

# %% 07.1
# Exercise 07.1


def rotation_matrix(pose):
    yaw, pitch, roll = np.deg2rad(pose)
    return turn_about(0, pitch) @ turn_about(1, yaw) @ turn_about(2, roll)


# %% 07.2
# Exercise 07.2


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.3
# Exercise 07.3


def angle_between(a, b):
    between = a.T @ b
    cosine = (np.trace(between) - 1) / 2
    sine = np.linalg.norm(between - between.T) / np.sqrt(8)
    return np.rad2deg(np.arctan2(sine, cosine))


# %% 07.4
# Exercise 07.4


def mirror_pose(poses):
    return poses * np.array([-1, 1, -1], poses.dtype)


# %% 07.5
# Challenge 07.5


def nearest_rotation(matrix):
    u, _, vt = np.linalg.svd(matrix)
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt
