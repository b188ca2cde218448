"""import tinyhpe: what is there, and what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import tinyhpe
from tinyhpe.methods import load_model


def modules_after(code):
    """The modules that are there after some code in a new process, and were not before."""
    report = f"import sys; before = set(sys.modules); {code}; print('new', *sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return result.stdout.split("new ")[1].split()


def test_importing_tinyhpe_needs_numpy_alone():
    roots = {module.split(".")[0] for module in modules_after("import tinyhpe")}
    assert roots - sys.stdlib_module_names == {"tinyhpe", "numpy"}


def test_a_prediction_imports_nothing_that_only_other_commands_need(tmp_path):
    head = Path(tinyhpe.__file__).parents[1] / "data" / "sample" / "head00000.jpg"
    arguments = ["predict", str(head), "--out", str(tmp_path)]
    modules = modules_after(f"from tinyhpe.cli import main; main({arguments})")
    roots = {module.split(".")[0] for module in modules}
    assert not roots & {"scipy", "matplotlib", "torch", "cupy"}
    assert not {f"tinyhpe.{part}" for part in ("heads", "train", "bench", "doctor", "evaluation")} & set(modules)
    assert (tmp_path / "head00000_pose.jpg").exists()


def test_all_that_people_reach_for_is_there_and_is_shown_by_tab_completion():
    functions = ["no_grad", "plain", "gradcheck", "load_model", "predict", "predict_heads", "evaluate"]
    for name in functions:
        assert callable(getattr(tinyhpe, name)), name
    assert {*functions, "Tensor", "ops", "nn", "optim", "__version__"} <= set(dir(tinyhpe))
    assert not {"LATER", "os", "importlib"} & set(dir(tinyhpe))
    assert tinyhpe.load_model is load_model
    with pytest.raises(AttributeError, match="no attribute 'backwards'"):
        tinyhpe.backwards  # noqa: B018
