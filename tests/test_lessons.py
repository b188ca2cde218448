"""The lessons, run whole in two processes each: solved; and untouched, with every known mistake."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="the lessons' pairs are compared with jupytext (extra dev)")

ROOT = Path(__file__).parents[1] / "lessons"
LESSONS = sorted(path.stem for path in ROOT.glob("[0-9][0-9]_*.py"))
GATE_SECONDS = 120
MODES = ("solutions", "mistakes")
TASK = re.compile(r"# (?:Exercise|Challenge) (\d\d\.\d)\n")

every_lesson = pytest.mark.parametrize("name", LESSONS)


def run_lesson(name, exercises, folder):
    """Run a lesson in a fresh process on one core, where warnings are errors and only ASCII can be printed."""
    report = folder / f"{name}-{exercises}.json"
    command = [sys.executable, "-W", "error", "-m", "checks.run", name]
    command += ["--exercises", exercises, "--report", report]
    settings = {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "ascii:strict", "OMP_NUM_THREADS": "1"}
    settings["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | settings, timeout=GATE_SECONDS, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-3000:]
    return json.loads(report.read_text())


@pytest.fixture(scope="session")
def run(request, tmp_path_factory):
    """The reports of the lessons that are tested, which run two beside each other from now on."""
    folder = tmp_path_factory.mktemp("lessons")
    names = dict.fromkeys(
        item.callspec.params["name"] for item in request.session.items if "run" in item.fixturenames
    )
    with ThreadPoolExecutor(2) as pool:
        reports = {(name, mode): pool.submit(run_lesson, name, mode, folder) for name in names for mode in MODES}
        yield lambda name, exercises: reports[name, exercises].result()


def cells_of(path):
    return jupytext.read(path).cells


def exercises_of(name):
    return TASK.findall((ROOT / f"{name}.py").read_text())


def hints_of(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return __import__(f"checks.lesson_{name[:2]}", fromlist=["HINTS"]).HINTS


def test_there_are_lessons():
    assert {"01_arrays", "02_autograd", "03_gradient_checks"} <= set(LESSONS)


@every_lesson
def test_with_the_solutions_every_exercise_is_right(name, run):
    assert run(name, "solutions")["verdicts"] == dict.fromkeys(exercises_of(name), "right")


@every_lesson
def test_untouched_stubs_are_seen_as_such_and_the_lesson_runs_to_its_end_on_our_functions(name, run):
    assert run(name, "mistakes")["verdicts"] == dict.fromkeys(exercises_of(name), "untouched")


@every_lesson
def test_each_known_mistake_is_refused_with_its_explanation(name, run):
    tried = run(name, "mistakes")["mistakes"]
    for number, explanation, verdict, printed in tried:
        assert verdict == "wrong", f"{number}: the mistake '{explanation}' is {verdict}"
        assert explanation in printed, f"{number}: no '{explanation}' in: {printed}"
        assert "Traceback" not in printed
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
    assert 20 <= sum(cell.cell_type == "code" for cell in cells) <= 32
    assert 4 <= len(exercises_of(name)) <= 6  # 3 to 5, and the challenge
    assert run(name, "solutions")["figures"] >= 2


@every_lesson
def test_each_exercise_has_a_prompt_a_stub_a_check_hints_and_a_solution(name, monkeypatch):
    cells, hints = cells_of(ROOT / f"{name}.py"), hints_of(name, monkeypatch)
    for place, cell in enumerate(cells):
        if not (found := TASK.match(cell.source)):
            continue
        kind = cell.source.split()[1]
        assert f"### {kind} {found[1]}" in cells[place - 1].source
        assert "hint" not in cell.source.lower()
        assert re.match(rf'(\w+) = check\("{found[1]}", \1\)$', cells[place + 1].source)
        assert f"# %% {found[1]}\n# {kind} {found[1]}\n" in (ROOT / "solutions" / f"{name}.py").read_text()
        assert kind == "Challenge" or 2 <= len(hints[found[1]]) <= 4
    numbers = exercises_of(name)
    assert numbers == [f"{name[:2]}.{i + 1}" for i in range(len(numbers))]
    assert list(hints) == numbers[:-1]


@every_lesson
def test_a_lesson_asks_for_a_guess_and_ends_with_a_payoff_and_a_challenge(name):
    sources = [cell.source for cell in cells_of(ROOT / f"{name}.py")]
    guess = next(place for place, source in enumerate(sources) if source.startswith("# Predict\n"))
    names = re.findall(r"^(\w+) = None", sources[guess], re.MULTILINE)
    assert names
    for guessed in names:
        assert any(f"check.reveal({guessed}, " in source for source in sources[guess + 1 :])
    payoff = next(place for place, source in enumerate(sources) if "Payoff: " in source)
    assert any("plt.show()" in source for source in sources[payoff:])
    assert [source.split()[1] for source in sources if TASK.match(source)][-1] == "Challenge"
    assert "## What to remember" in sources[-1]


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


def test_an_answer_that_is_no_function_or_stops_with_an_error_is_explained(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr("checks.answers.FILE", tmp_path / "answers.jsonl")
    from checks import check

    check("01.1", 3)
    assert "without brackets" in capsys.readouterr().out

    def brighten(image):
        return image

    check("01.1", brighten)
    assert "it stops with TypeError" in capsys.readouterr().out

    def brighten(image, amount):
        return imgae + amount  # noqa: F821  the misspelling is the point

    check("01.1", brighten)
    assert "your cell: return imgae + amount" in " ".join(capsys.readouterr().out.split())


def test_a_notebook_runs_in_jupyter(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="a notebook is executed with nbclient (extra dev)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # nobody's own IPython settings
    notebook = jupytext.read(ROOT / "03_gradient_checks.ipynb")
    nbclient.NotebookClient(notebook, timeout=GATE_SECONDS, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 3
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
