"""What several tests want of a file of weights."""

import numpy as np

from tinyhpe.weight_files import open_arrays


def load_arrays(path):
    """All arrays of a file, and its description."""
    with open_arrays(path) as (arrays, description):
        return {name: np.asarray(array) for name, array in arrays.items()}, description
