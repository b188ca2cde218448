"""One file for each column of the paper's Table 1, all with the interface of base.Method.

siamese        the paper's method with its ensemble layer; -same: Eq. 1 to the letter
two_branch     the standard Siamese network, of which the ensemble layer is the quicker form
rotation       the paper's method with the rotation as its target: what ships
direct         the three angles by mean squared error, all else as the others
patacchiola    the same loss with Patacchiola and Cangelosi's small network
hopenet        66 levels and their expectation; its authors' code weighs the two losses 1 to 0.001, their paper
               1 to 1 (-alpha1) and 1 to 2 (-alpha2)
quatnet        a quaternion, and ordinal regression of the angles beside it
keypoints      68 landmarks, and the mean head fitted to twelve of them (the paper's FAN)
depth          a morphable head fitted to a depth map (the paper's 3DMM)
"""

from pathlib import Path

from tinyhpe.description import check_form
from tinyhpe.errors import InputError
from tinyhpe.methods.depth import Depth
from tinyhpe.methods.direct import Direct
from tinyhpe.methods.hopenet import HopeNet, HopeNet1, HopeNet2
from tinyhpe.methods.keypoints import Keypoints
from tinyhpe.methods.patacchiola import Patacchiola
from tinyhpe.methods.quatnet import QuatNet
from tinyhpe.methods.rotation import SiameseRotation
from tinyhpe.methods.siamese import Siamese, SiameseSame
from tinyhpe.methods.two_branch import SiameseTwoBranch
from tinyhpe.weight_files import open_arrays, save_arrays

METHODS = {
    "siamese": Siamese,
    "siamese-same": SiameseSame,
    "siamese-two-branch": SiameseTwoBranch,
    "siamese-rotation": SiameseRotation,
    "direct": Direct,
    "patacchiola": Patacchiola,
    "hopenet": HopeNet,
    "hopenet-alpha1": HopeNet1,
    "hopenet-alpha2": HopeNet2,
    "quatnet": QuatNet,
    "keypoints": Keypoints,
    "depth": Depth,
}
SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "siamese.safetensors"
BUILT_FROM = {"method": "", "network": "", "stem": "", "input_size": 48}


def build(method="siamese", network="r18n", stem="7x7", input_size=48, seed=0):
    """Build an untrained method by name.

    Raises:
        InputError: no method or network of that name.
    """
    return find(method)(network, stem, input_size, seed)


def find(name):
    """Return the class of a method, or raise InputError."""
    if name not in METHODS:
        raise InputError(f"unknown method {name!r}: choose one of {', '.join(METHODS)}")
    return METHODS[name]


def save_model(path, model, description):
    """Write a model and what is needed to build it again: method, network, stem, input_size."""
    save_arrays(path, model.state_dict(), description)


def load_model(path=SHIPPED_WEIGHTS):
    """Read a model that save_model wrote (by default the shipped one).

    Args:
        path: the .safetensors file, or the folder of a training run.

    Returns:
        the method with its weights, in evaluation mode; its `description` is what was saved with it, a dict

    Raises:
        InputError: no such file, or not a model of tinyhpe.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    with open_arrays(path) as (arrays, description):
        try:
            check_form("the description", description, BUILT_FROM)
            model = build(**{key: description[key] for key in BUILT_FROM})
            model.load_state_dict(arrays)
        except (InputError, TypeError) as error:
            raise InputError(
                f"{path}: {error}; give a model.safetensors that this version's `tinyhpe train` wrote"
            ) from error
    model.description = description
    return model.eval()
