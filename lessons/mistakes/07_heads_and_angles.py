# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 7. A heading holds the exercise, and what check() must say about the cell."""


# %% 07.1: this is the product Rz @ Ry @ Rx


def rotation_matrix(pose):
    yaw, pitch, roll = np.deg2rad(pose)
    return turn_about(2, roll) @ turn_about(1, yaw) @ turn_about(0, pitch)


# %% 07.1: this is the product Ry @ Rx @ Rz


def rotation_matrix(pose):
    yaw, pitch, roll = np.deg2rad(pose)
    return turn_about(1, yaw) @ turn_about(0, pitch) @ turn_about(2, roll)


# %% 07.1: cosine and sine take radians


def rotation_matrix(pose):
    yaw, pitch, roll = pose
    return turn_about(0, pitch) @ turn_about(1, yaw) @ turn_about(2, roll)


# %% 07.1: cosine and sine take radians


def rotation_matrix(pose):
    yaw, pitch, roll = np.rad2deg(pose)
    return turn_about(0, pitch) @ turn_about(1, yaw) @ turn_about(2, roll)


# %% 07.1: an angle went to another axis


def rotation_matrix(pose):
    a, b, c = np.deg2rad(pose)
    return turn_about(0, a) @ turn_about(1, b) @ turn_about(2, c)


# %% 07.1: an angle went to another axis


def rotation_matrix(pose):
    a, b, c = np.deg2rad(pose)
    return turn_about(2, c) @ turn_about(1, b) @ turn_about(0, a)


# %% 07.1: entry by entry


def rotation_matrix(pose):
    yaw, pitch, roll = np.deg2rad(pose)
    return turn_about(0, pitch) * turn_about(1, yaw) * turn_about(2, roll)


# %% 07.1: this is the transposed matrix


def rotation_matrix(pose):
    yaw, pitch, roll = np.deg2rad(pose)
    return (turn_about(0, pitch) @ turn_about(1, yaw) @ turn_about(2, roll)).T


# %% 07.1: Rz is missing


def rotation_matrix(pose):
    yaw, pitch, _ = np.deg2rad(pose)
    return turn_about(0, pitch) @ turn_about(1, yaw)


# %% 07.1: works in place


def rotation_matrix(pose):
    pose *= np.pi / 180
    return turn_about(0, pose[1]) @ turn_about(1, pose[0]) @ turn_about(2, pose[2])


# %% 07.2: the angles are in radians


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.array([yaw, pitch, roll])


# %% 07.2: in which quadrant


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan(matrix[1, 2] / matrix[2, 2])
    roll = np.arctan(matrix[0, 1] / matrix[0, 0])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.2: np.clip(..., -1, 1) before the arc sine


def angles_of(matrix):
    with np.errstate(invalid="ignore"):
        yaw = -np.arcsin(matrix[0, 2])
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.2: the arguments of arctan2 are exchanged


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[2, 2], matrix[1, 2])
    roll = np.arctan2(matrix[0, 0], matrix[0, 1])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.2: yaw with the wrong sign


def angles_of(matrix):
    yaw = np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.2: the angles of the transposed matrix


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[2, 0], -1, 1))
    pitch = np.arctan2(matrix[2, 1], matrix[2, 2])
    roll = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.rad2deg(np.array([yaw, pitch, roll]))


# %% 07.2: this is pitch, yaw, roll


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.rad2deg(np.array([pitch, yaw, roll]))


# %% 07.2: arc sines of one entry


def angles_of(matrix):
    sines = np.clip([-matrix[0, 2], matrix[1, 2], matrix[0, 1]], -1, 1)
    return np.rad2deg(np.arcsin(sines))


# %% 07.2: it returns a tuple


def angles_of(matrix):
    yaw = -np.arcsin(np.clip(matrix[0, 2], -1, 1))
    pitch = np.arctan2(matrix[1, 2], matrix[2, 2])
    roll = np.arctan2(matrix[0, 1], matrix[0, 0])
    return np.rad2deg(yaw), np.rad2deg(pitch), np.rad2deg(roll)


# %% 07.3: the cosine is flat


def angle_between(a, b):
    cosine = (np.trace(a.T @ b) - 1) / 2
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


# %% 07.3: D is A @ B


def angle_between(a, b):
    d = a @ b
    return np.rad2deg(np.arctan2(np.linalg.norm(d - d.T) / np.sqrt(8), (np.trace(d) - 1) / 2))


# %% 07.3: D is A.T * B


def angle_between(a, b):
    d = a.T * b
    return np.rad2deg(np.arctan2(np.linalg.norm(d - d.T) / np.sqrt(8), (np.trace(d) - 1) / 2))


# %% 07.3: the angle is in radians


def angle_between(a, b):
    d = a.T @ b
    return np.arctan2(np.linalg.norm(d - d.T) / np.sqrt(8), (np.trace(d) - 1) / 2)


# %% 07.3: the cosine is off


def angle_between(a, b):
    d = a.T @ b
    return np.rad2deg(np.arctan2(np.linalg.norm(d - d.T) / np.sqrt(8), np.trace(d) / 2))


# %% 07.3: the sine is off


def angle_between(a, b):
    d = a.T @ b
    return np.rad2deg(np.arctan2(np.linalg.norm(d - d.T), (np.trace(d) - 1) / 2))


# %% 07.3: the sine is off


def angle_between(a, b):
    d = a.T @ b
    return np.rad2deg(np.arctan2(((d - d.T) ** 2).sum() / 8, (np.trace(d) - 1) / 2))


# %% 07.3: the arc sine alone


def angle_between(a, b):
    d = a.T @ b
    return np.rad2deg(np.arcsin(min(np.linalg.norm(d - d.T) / np.sqrt(8), 1)))


# %% 07.3: arctan knows no quadrants


def angle_between(a, b):
    d = a.T @ b
    return np.rad2deg(np.arctan(np.linalg.norm(d - d.T) / np.sqrt(8) / ((np.trace(d) - 1) / 2)))


# %% 07.4: yaw changed sign


def mirror_pose(poses):
    poses = poses.copy()
    poses[:, 0] *= -1
    return poses


# %% 07.4: yaw and pitch and roll changed sign


def mirror_pose(poses):
    return -poses


# %% 07.4: works in place


def mirror_pose(poses):
    poses[:, ::2] *= -1
    return poses


# %% 07.4: the dtype is float64


def mirror_pose(poses):
    return poses * np.array([-1, 1, -1])


# %% 07.4: the heads are in reverse order


def mirror_pose(poses):
    return poses[::-1]


# %% 07.4: rows changed, not columns


def mirror_pose(poses):
    poses = poses.copy()
    poses[0] *= -1
    poses[2:] *= -1
    return poses


# %% 07.4: the result has 180 - yaw


def mirror_pose(poses):
    return np.stack([180 - poses[:, 0], poses[:, 1], -poses[:, 2]], axis=1)


# %% 07.5: a mirrored head, which no turn reaches


def nearest_rotation(matrix):
    u, _, vt = np.linalg.svd(matrix)
    return u @ vt


# %% 07.5: all three columns changed sign


def nearest_rotation(matrix):
    u, _, vt = np.linalg.svd(matrix)
    return u @ vt * np.sign(np.linalg.det(u @ vt))


# %% 07.5: column 0 of U changed its sign


def nearest_rotation(matrix):
    u, _, vt = np.linalg.svd(matrix)
    u[:, 0] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt


# %% 07.5: U @ V


def nearest_rotation(matrix):
    u, _, v = np.linalg.svd(matrix)
    u[:, 2] *= np.sign(np.linalg.det(u @ v.T))
    return u @ v.T


# %% 07.5: they are not orthogonal


def nearest_rotation(matrix):
    return matrix / np.linalg.norm(matrix, axis=0)


# %% 07.5: Gram-Schmidt


def nearest_rotation(matrix):
    x = matrix[:, 0] / np.linalg.norm(matrix[:, 0])
    y = matrix[:, 1] - (matrix[:, 1] @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)
