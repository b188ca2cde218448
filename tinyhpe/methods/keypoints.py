"""The pose from landmarks, the paper's column FAN: a network finds the landmarks, a head is fitted to some.

The network gives the places of the 68 landmarks in the image, also of those that the head hides. Then twelve of
them, which move little when the face does, are compared with those of our mean head: its rotation is found by
least squares in weak perspective (pose/landmarks.py). The loss knows nothing of poses.

FAN (Bulat and Tzimiropoulos, 2017, "How far are we from solving the 2D & 3D Face Alignment problem?") answers
with a picture for each landmark, bright where it lies, from four stacked hourglass networks. We regress
coordinates with the same backbone as the other methods: so the method differs, not the network. Gao and Wang do
not say how they get from landmarks to angles; Ruiz et al., whose figures they quote, took twelve points, too.
"""

import numpy as np

from tinyhpe import backend, ops
from tinyhpe.methods.base import Method
from tinyhpe.methods.rotation import nearest_rotation
from tinyhpe.pose.angles import euler_to_matrix, matrix_to_euler
from tinyhpe.pose.landmarks import MIRROR, TWELVE, fit_rotations

GROUPS = {"contour": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68)}
ALIGNED_HEADS = 200


class Keypoints(Method):
    """Two outputs for each of the 68 landmarks: x and y in halves of the image's side, from its middle."""

    outputs = 2 * len(MIRROR)
    parts = tuple(GROUPS)
    learns = "landmarks"
    lr = 2e-3  # of 1e-3 to 6e-3 the best

    def __init__(self, network="r18n", stem="7x7", input_size=48, seed=0):
        from tinyhpe.heads.shape import reference_landmarks  # here: the others need no heads, and no SciPy

        super().__init__(network, stem, input_size, seed)
        self.register_buffer("head", reference_landmarks()[TWELVE])

    def begin_stage(self, stage, crops):
        """Turn the head so that poses read from the true landmarks agree with the labels.

        Pose zero is a convention of the data. That of our heads differs by APPEARANCE_PITCH from what their
        landmarks say (heads/shape.py), that of 300W-LP does not. Where all twelve are never known, ours is kept.
        """
        known = np.flatnonzero(np.isfinite(crops.landmarks[:, TWELVE]).all(axis=(1, 2)))
        if not len(known):
            return
        chosen = known[:: max(1, len(known) // ALIGNED_HEADS)]
        head = backend.to_numpy(self.head)
        fitted = fit_rotations(crops.landmarks[chosen][:, TWELVE], head)
        turn = nearest_rotation((fitted.swapaxes(1, 2) @ euler_to_matrix(crops.poses[chosen])).mean(axis=0))
        self.head = backend.to_device(head @ turn, self.device)

    def loss(self, stage, images, landmarks):
        """Mean distance along x and y of each group; landmarks that are NaN do not count."""
        outputs = self(images).reshape((-1, len(MIRROR), 2))
        xp, targets = backend.array_module(landmarks), landmarks / (self.input_size / 2) - 1
        targets = xp.where(xp.isfinite(targets), targets, outputs.data)
        distances = ops.absolute(outputs - targets)
        return ops.stack([distances[:, first:end].mean() for first, end in GROUPS.values()])

    def decode(self, outputs):
        landmarks = outputs.reshape(-1, len(MIRROR), 2)[:, TWELVE].astype(np.float64)
        return matrix_to_euler(fit_rotations(landmarks, backend.to_numpy(self.head)))
