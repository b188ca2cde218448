"""What is trained, on what, and which question each training answers.

A training has a name: that of a method, and after a plus what is changed in its settings (see CHANGES). All have
the same data, the same number of epochs and the same size of network, unless the name says otherwise.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tinyhpe import methods
from tinyhpe.datasets import RENDERED
from tinyhpe.datasets.crops import crop_size
from tinyhpe.evaluation import SEED
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.reproduce.variants import register
from tinyhpe.train import Settings

SWEEPS = {angle: f"rendered-{angle}" for angle in ANGLES}  # the angle that varies -> the test set
CHANGES = {
    "": {},
    "balanced": {"balanced": True},  # rare poses are drawn more often
    "fig4": {"data": "rendered-fig4"},
    "plain": {},  # without blur, noise and brightness: variants.PlainLoader
}
COLUMNS = {  # of Table 1 and Fig. 9 -> the paper's name in PAPER_FIG9
    "patacchiola": "Patacchiola",
    "direct": "",
    "hopenet": "",
    "hopenet-alpha2": "HopeNet",
    "quatnet": "",
    "siamese-two-branch": "",
    "siamese": "the paper",
    "siamese-rotation": "",
    "keypoints": "FAN",
    "depth": "3DMM",
}
PAPER_FIG9 = {  # MAE on AFLW2000: yaw, pitch, roll, mean
    "Patacchiola": (10.537, 7.741, 8.069, 8.794),
    "HopeNet": (6.47, 6.559, 5.436, 6.155),
    "FAN": (6.358, 12.277, 8.741, 9.116),
    "3DMM": (2.5, 1.5, 2.2, 2.066),
    "the paper": (5.734, 5.761, 5.517, 5.671),
}
LOSS_CURVES = {"Fig. 6": "direct", "Fig. 7": "hopenet", "Fig. 8": "siamese"}


@dataclass(frozen=True)
class Question:
    """Trainings to compare: the first one with each other one, by the mean of the errors `judged`.

    `about` says what is changed, and why.
    """

    title: str
    about: str
    names: tuple[str, ...]
    judged: str = "mae"


QUESTIONS = (
    Question(
        "Does ranking help at equal compute?",
        "The control has the same two stages and spends the first one on the mean squared error, too; direct "
        "has one stage.",
        ("siamese", "siamese-control", "direct"),
    ),
    Question(
        "Order, same, or a hinge?",
        "The paper's text ranks images of different levels (order). Its Eq. 1, as written, asks whether two "
        "images are of the same level (same). Its authors' draft code has the hinge of RankIQA.",
        ("siamese", "siamese-same", "siamese-hinge"),
    ),
    Question(
        "Does ranking cure the imbalance of poses, or does balanced sampling?",
        "Balanced: images of rare poses are drawn more often. Large angles are what it is for.",
        ("siamese", "siamese+balanced", "direct", "direct+balanced"),
        "mae_beyond_yaw60",
    ),
    Question(
        "Do levels of 3 degrees matter?",
        "Levels of 1 and of 10 degrees beside the paper's 3, and none: there the angles themselves are ranked.",
        ("siamese", "siamese-1-degree", "siamese-10-degrees", "siamese-no-levels"),
    ),
    Question(
        "Which share of the epochs should rank?",
        "Half of them by default; a quarter, three quarters, and none (direct).",
        ("siamese", "siamese-quarter", "siamese-three-quarters", "direct"),
    ),
    Question(
        "Do the rotation as target and poses as cameras meet them help?",
        "The target is three angles by default, and poses are drawn as cameras meet them. +fig4 draws each angle "
        "on its own, as the paper's Fig. 4 counts 300W-LP; siamese-rotation learns the rotation matrix.",
        ("siamese", "siamese+fig4", "siamese-rotation", "siamese-rotation+fig4"),
    ),
)
DATA_SEED = 0  # all trainings see the same heads: seeds are of weights and order
DEPTH_HEADS = 64  # a fit to a depth map takes a tenth of a second, and nothing is trained
FROM_SCRATCH = ("patacchiola", "depth")  # not ResNets: --init is not for them
VARIED = ("method", "balanced", "seed")  # Settings that are not the same for all
ROBUSTNESS = ("siamese", "siamese+plain", "keypoints")  # the question of section 2.5 has a table of its own


@dataclass(frozen=True)
class Plan:
    """All that the report depends on; kept in the folder, so that nothing else goes on in it.

    Args:
        shared: Settings that all trainings share, by name; the learning rate is each method's, unless it is here.
        tests: data sets to test on, as open_dataset takes them, beside the drawn heads.
        seeds: how often each training is repeated, with other initial weights and another order of the images.
        tested: drawn heads in each of the test sets.
        photos: drawn heads in whole photos, to be made worse.
    """

    shared: dict
    tests: tuple[str, ...] = ()
    seeds: int = 5
    tested: int = 1000
    photos: int = 200
    device: str = "cpu"
    quick: bool = False

    @property
    def settings(self):
        return Settings(**self.shared)

    @property
    def questions(self):
        """Those that the data can answer: only of drawn heads one chooses the poses."""
        drawn = self.settings.data in RENDERED
        kept = [tuple(n for n in question.names if drawn or "+fig4" not in n) for question in QUESTIONS]
        return [replace(question, names=names) for question, names in zip(QUESTIONS, kept, strict=True)]

    @property
    def names(self):
        """Of all trainings, each once."""
        asked = [name for question in self.questions for name in question.names]
        return [name for name in dict.fromkeys([*COLUMNS, *asked, *ROBUSTNESS]) if self.can_train(name)]

    def can_train(self, name):
        """Photos have no depth."""
        return self.settings.data in RENDERED or sees(name) == "images"

    @property
    def test_sets(self):
        """{name in the report: what open_dataset takes}; the first is the one that questions are answered on."""
        given = {}
        for spec in self.tests:
            kind, _, path = spec.partition(":")
            given[kind if kind not in given else f"{kind} ({Path(path).name})"] = spec
        return given | {spec: spec for spec in ("rendered-broad", *SWEEPS.values())}

    def photo_sets(self, drawn):
        """Data sets of whole photos, to be made worse: {name in the report: what open_dataset takes}."""
        return {"drawn photos": f"300wlp:{drawn}"} | dict(list(self.test_sets.items())[: len(self.tests)])

    @property
    def size(self):
        """Of the crops, pixels."""
        return crop_size(self.settings.input_size)

    @property
    def broad_sets(self):
        """The names of the test sets in which all angles vary."""
        return [test for test in self.test_sets if test not in SWEEPS.values()]

    @property
    def written(self):
        """As a flat dict, as JSON gives it back."""
        settings = asdict(self.settings) | {"lr": self.shared.get("lr", "each method's own")}
        every = {**settings, **{name: value for name, value in asdict(self).items() if name != "shared"}}
        return json.loads(json.dumps({name: every[name] for name in every if name not in VARIED}))

    @property
    def told(self):
        """The same for readers, without anybody's folders."""
        data, init = self.settings.data.partition(":")[0], Path(self.settings.init).name
        named = {"data": data, "init": init or "random", "tests": ", ".join(self.test_sets)}
        return self.written | named | ({} if data in RENDERED else {"heads": "none are drawn to train on"})

    def settings_of(self, name, seed):
        method, _, change = name.partition("+")
        own = {"heads": DEPTH_HEADS} if sees(name) == "depths" else {}
        own |= {"init": ""} if method in FROM_SCRATCH else {}
        return Settings(**{**self.shared, **CHANGES[change], **own, "method": method, "seed": seed})

    def tests_of(self, name):
        """{test set: what open_dataset takes} of those that the method can look at."""
        drawn_only = sees(name) == "depths"
        return {test: spec for test, spec in self.test_sets.items() if spec in RENDERED or not drawn_only}

    def data_of(self, name):
        """The arguments of open_dataset for what a training learns from, and for each of tests_of()."""
        settings = self.settings_of(name, 0)
        method = methods.find(settings.method)
        tested = DEPTH_HEADS if method.sees == "depths" else self.tested
        yield settings.data, self.size, settings.heads, DATA_SEED, method.sees, method.learns
        for spec in self.tests_of(name).values():
            yield spec, self.size, tested, SEED, method.sees


def sees(name):
    """What the method of a training looks at: "images" or "depths"."""
    return methods.find(name.partition("+")[0]).sees


QUICK = {"heads": 2800, "input_size": 48, "epochs": 8, "seeds": 1, "tested": 400, "photos": 40}
FULL = {"heads": 6000, "input_size": 48, "epochs": 14, "seeds": 5, "tested": 1000, "photos": 200}
# Of networks that begin with published weights, as the paper's: it crops 224 pixels; the other numbers are ours.
PAPER = {"input_size": 224, "epochs": 24, "lr": 1e-4, "seeds": 1}


def make_plan(options):
    """The plan of what the command line was given: a dict with `quick`, `test`, and Settings by name.

    Raises:
        InputError: settings that make no sense.
    """
    register()
    chosen = (QUICK if options["quick"] else FULL) | (PAPER if options.get("init") else {}) | options
    shared = {field.name: chosen[field.name] for field in fields(Settings) if field.name in chosen}
    rest = {name: chosen[name] for name in ("seeds", "tested", "photos", "device", "quick")}
    plan = Plan(shared, tuple(options.get("test", ())), **rest)
    for name in plan.names:
        plan.settings_of(name, 0)  # refuses too few epochs
    return plan
