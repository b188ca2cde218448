"""The lessons, run whole in a process each: solved, untouched, and with every known mistake."""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

jupytext = pytest.importorskip("jupytext", reason="the lessons' pairs are compared with jupytext (extra dev)")

ROOT = pathlib.Path(__file__).parents[1] / "lessons"
LESSONS = sorted(path.stem for path in ROOT.glob("[0-9][0-9]_*.py"))
GATE_SECONDS = 120
EXERCISE = re.compile(r"# Exercise (\d\d\.\d)\n")

every_lesson = pytest.mark.parametrize("name", LESSONS)


@functools.cache
def report_of(name, exercises, folder):
    """Run a lesson in a fresh process, where warnings are errors and only ASCII can be printed."""
    report = pathlib.Path(folder) / f"{name}-{exercises}.json"
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "checks.run",
        name,
        "--exercises",
        exercises,
        "--report",
        report,
    ]
    settings = {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "ascii:strict", "OMP_NUM_THREADS": "2"}
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, timeout=GATE_SECONDS, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-3000:]
    return json.loads(report.read_text())


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    return lambda name, exercises: report_of(name, exercises, folder)


def cells_of(path):
    return jupytext.read(path).cells


def exercises_of(name):
    return EXERCISE.findall((ROOT / f"{name}.py").read_text())


def test_there_are_lessons():
    assert {"01_arrays", "02_autograd", "03_gradient_checks"} <= set(LESSONS)


@every_lesson
def test_with_the_solutions_every_exercise_is_right(name, run):
    assert run(name, "solutions")["results"] == dict.fromkeys(exercises_of(name), True)


@every_lesson
def test_with_untouched_stubs_every_exercise_is_wrong_and_the_lesson_runs_to_its_end(name, run):
    assert run(name, "stubs")["results"] == dict.fromkeys(exercises_of(name), False)


@every_lesson
def test_each_known_mistake_is_refused_with_its_explanation(name, run):
    tried = run(name, "mistakes")["mistakes"]
    for number, explanation, passed, printed in tried:
        assert not passed, f"{number}: the mistake '{explanation}' passed"
        assert explanation in printed, f"{number}: no '{explanation}' in: {printed}"
    for number in exercises_of(name):
        assert sum(number == mistake[0] for mistake in tried) >= 2, f"{number} has fewer than two known mistakes"


@every_lesson
def test_a_lesson_keeps_the_time_it_states(name, run):
    first_page = (ROOT / f"{name}.py").read_text()[:1000]
    stated = re.search(r"runs in about (\d+) seconds on two cores and downloads\n# nothing", first_page)
    assert stated, "the top of a lesson says how long it runs"
    assert int(stated[1]) < 60
    assert run(name, "solutions")["seconds"] < max(3 * int(stated[1]), 20)  # a busy machine may take longer


@every_lesson
def test_a_lesson_has_the_size_that_was_promised(name, run):
    cells = cells_of(ROOT / f"{name}.py")
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    words = [word for word in prose.split() if re.search("[A-Za-z]", word)]
    assert 1200 <= len(words) <= 1800
    assert 20 <= sum(cell.cell_type == "code" for cell in cells) <= 30
    assert 3 <= len(exercises_of(name)) <= 5
    assert run(name, "solutions")["figures"] >= 2


@every_lesson
def test_each_exercise_has_a_prompt_a_stub_with_a_hint_a_check_and_a_solution(name):
    cells = cells_of(ROOT / f"{name}.py")
    for place, cell in enumerate(cells):
        if not (found := EXERCISE.match(cell.source)):
            continue
        assert f"### Exercise {found[1]}" in cells[place - 1].source
        assert "# Hint:" in cell.source
        assert cells[place + 1].source.startswith(f'check("{found[1]}", ')
        assert f"# %% {found[1]}\n# Exercise {found[1]}\n" in (ROOT / "solutions" / f"{name}.py").read_text()
    assert exercises_of(name) == [f"{name[:2]}.{i + 1}" for i in range(len(exercises_of(name)))]


@every_lesson
def test_the_notebook_has_no_outputs_and_is_in_step_with_its_source(name):
    notebook = cells_of(ROOT / f"{name}.ipynb")
    for cell in notebook:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
    in_source = [(cell.cell_type, cell.source) for cell in cells_of(ROOT / f"{name}.py")]
    assert [(cell.cell_type, cell.source) for cell in notebook] == in_source, (
        f"run jupytext --sync lessons/{name}.py"
    )


def test_all_files_of_the_lessons_are_ascii():
    paths = [path for path in ROOT.rglob("*") if path.suffix in {".py", ".ipynb", ".md"}]
    assert len(paths) > 3 * len(LESSONS)
    for path in paths:
        assert path.read_bytes().isascii(), path


def test_an_answer_that_is_no_function_or_stops_with_an_error_is_explained(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    from checks import check

    assert check("01.1", 3) is False
    assert "without brackets" in capsys.readouterr().out

    def brighten(image):
        return image

    assert check("01.1", brighten) is False
    assert "it stops with TypeError" in capsys.readouterr().out

    def brighten(image, amount):
        return imgae + amount  # noqa: F821  the misspelling is the point

    assert check("01.1", brighten) is False
    assert "your cell: return imgae + amount" in " ".join(capsys.readouterr().out.split())


def test_a_notebook_runs_in_jupyter(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="a notebook is executed with nbclient (extra dev)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # nobody's own IPython settings
    notebook = jupytext.read(ROOT / "03_gradient_checks.ipynb")
    nbclient.NotebookClient(notebook, timeout=GATE_SECONDS, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 3
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
