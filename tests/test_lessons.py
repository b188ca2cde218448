"""The lessons, run whole in two processes each: solved; and untouched, with every known mistake."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinyhpe import cli
from tinyhpe.lesson import copy_lesson
from tinyhpe.tensor import Op, Sample

jupytext = pytest.importorskip("jupytext", reason="the lessons' pairs are compared with jupytext (extra dev)")

ROOT = Path(__file__).parents[1] / "lessons"
LESSONS = sorted(path.stem for path in ROOT.glob("[0-9][0-9]_*.py"))
GATE_SECONDS = 120
MODES = ("solutions", "mistakes")
NOT_IN_A_BROWSER = "10"  # which needs a compiler
TASK = re.compile(r"# (?:Exercise|Challenge) (\d\d\.\d)\n")

every_lesson = pytest.mark.parametrize("name", LESSONS)


def run_lesson(name, exercises, folder):
    """Run a lesson in a fresh process on one core, where warnings are errors and only ASCII can be printed.

    Solved, it runs as in a browser; with the mistakes as everywhere else.
    """
    report = folder / f"{name}-{exercises}.json"
    in_browser = exercises == "solutions" and not name.startswith(NOT_IN_A_BROWSER)
    command = [sys.executable, "-W", "error", "-m", *["tests.in_browser"] * in_browser]
    command += ["checks.run", name, "--exercises", exercises, "--report", report]
    settings = {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "ascii:strict", "OMP_NUM_THREADS": "1"}
    settings["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | settings, timeout=GATE_SECONDS, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-3000:]
    outcome = json.loads(report.read_text())
    if outcome["ended"]:
        pytest.skip(f"lesson {name} cannot run here: {ran.stdout[:300]}")
    return outcome


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
    assert int(stated[1]) <= (30 if name.startswith("08") else 15)
    assert run(name, "solutions")["seconds"] < 2 * int(stated[1])  # a laptop is slower than this machine


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
    text = (ROOT / f"{name}.py").read_text()
    assert set(re.findall(r"^# %%.*", text, re.MULTILINE)) == {"# %%", "# %% [markdown]"}  # else text is swallowed
    in_source = [(cell.cell_type, cell.source) for cell in cells_of(ROOT / f"{name}.py")]
    assert [(cell.cell_type, cell.source) for cell in notebook] == in_source, (
        f"run jupytext --sync lessons/{name}.py"
    )


def test_all_files_of_the_lessons_are_ascii():
    paths = [path for path in ROOT.rglob("*") if path.suffix in {".py", ".ipynb", ".md"}]
    assert len(paths) > 3 * len(LESSONS)
    for path in paths:
        assert path.read_bytes().isascii(), path


@pytest.fixture
def check(monkeypatch, tmp_path):
    """The lessons' check, new, with its answers in tmp_path."""
    monkeypatch.syspath_prepend(ROOT)
    from checks import answers, grader

    monkeypatch.setattr(answers, "FILE", tmp_path / "answers.jsonl")
    monkeypatch.setattr(answers, "history", [])
    return grader.Check()


def test_an_answer_that_is_no_function_or_stops_with_an_error_is_explained(check, capsys):
    check("01.1", 3)
    assert "without brackets" in capsys.readouterr().out
    check("01.1", lambda image: image)
    assert "it stops with TypeError" in capsys.readouterr().out

    def brighten(image, amount):
        return imgae + amount  # noqa: F821  the misspelling is the point

    check("01.1", brighten)
    assert "your cell: return imgae + amount" in " ".join(capsys.readouterr().out.split())


def test_a_wrong_answer_is_replaced_by_ours_and_ours_does_not_count_as_right(check, capsys):
    globals()["np"] = np  # our solution runs in the names of whoever calls check()

    def from_torch(images):
        return images.T

    photos = np.zeros((1, 2, 3, 4), np.float32)
    stand_in = check("01.3", from_torch)
    assert stand_in(photos).shape == (1, 3, 4, 2)
    assert check("01.3", stand_in) is stand_in  # the check cell run twice, or a copy of it
    assert "run the cell with your own again" in " ".join(capsys.readouterr().out.lower().split())
    check.progress()
    assert "01.3: wrong" in capsys.readouterr().out

    def from_torch(images):
        return images.transpose(0, 2, 3, 1)

    assert check("01.3", from_torch) is from_torch
    check.progress()
    assert "01.3: right" in capsys.readouterr().out


def test_the_case_that_failed_is_kept_and_an_input_that_is_changed_is_noticed(check, capsys):
    def centre(images):
        images -= images.mean(axis=(1, 2, 3), keepdims=True)
        return images

    check("01.2", centre)
    assert "works in place" in capsys.readouterr().out
    (images,) = check.case.inputs
    assert images.shape[0] == 2
    assert abs(images.mean()) > 0.01  # as it was before the call
    check("01.2", lambda images: images - images.mean(axis=(1, 2, 3), keepdims=True))
    assert check.case is None


def test_hints_come_one_by_one_then_a_solution_and_all_is_recorded(check, capsys, tmp_path):
    check.hint()
    assert "Which exercise?" in capsys.readouterr().out
    check("01.3", lambda images: images.T)
    for _ in range(3):
        check.hint()
    shown = capsys.readouterr().out
    assert "hint 1 of 2" in shown
    assert 'check.solution("01.3")' in shown
    check.solution("01.3")
    assert "transpose(0, 2, 3, 1)" in capsys.readouterr().out
    check.hint("01.6")
    assert "no hints" in capsys.readouterr().out
    records = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [record["verdict"] for record in records] == ["wrong", "hint", "hint", "solution"]
    assert records[0]["diagnosis"] == ".T turns the whole order round, N too"


def test_answers_that_cannot_be_written_or_read_do_no_harm(check, monkeypatch, tmp_path):
    from checks import answers

    monkeypatch.setattr(answers, "FILE", tmp_path)  # a folder: nobody can write to it
    check("01.3", lambda images: images.T)
    damaged = tmp_path / "answers.jsonl"
    damaged.write_text('{"exercise": "01.1", "verdict": "right", "diagnosis": ""}\n{"exerc\n[1]\n')
    assert [record["verdict"] for record in answers.read(damaged)] == ["right"]


def test_a_verdict_is_coloured_in_a_notebook_and_ascii_elsewhere(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    display = pytest.importorskip("IPython.display", reason="IPython comes with ipykernel (extra dev)")
    from checks.display import show

    show("wrong", "a < b", [("What", "x")])
    assert capsys.readouterr().out == "a < b\n  What: x\n"
    shown = []
    monkeypatch.setattr("checks.display.in_notebook", lambda: True)
    monkeypatch.setattr(display, "display", lambda data, raw: shown.append(data))
    show("wrong", "a < b", [("What", "x")])
    assert shown[0]["text/plain"] == "a < b\n  What: x"
    assert "a &lt; b" in shown[0]["text/html"]
    assert "color:#" in shown[0]["text/html"]


def test_a_lesson_is_copied_with_its_checks_and_work_is_never_lost(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lesson", "2"]) == 0
    assert "jupytext" not in json.loads((tmp_path / "02_autograd.ipynb").read_text())["metadata"]
    (tmp_path / "02_autograd.ipynb").write_text("my work")
    assert cli.main(["lesson", "2"]) == 0
    assert (tmp_path / "02_autograd.ipynb").read_text() == "my work"
    for count in (1, 2):
        assert cli.main(["lesson", "2", "--fresh"]) == 0
        assert (tmp_path / f"02_autograd-old-{count}.ipynb").exists()
    assert (tmp_path / "02_autograd-old-1.ipynb").read_text() == "my work"
    assert not list(tmp_path.rglob("solutions"))
    assert cli.main(["lesson", "99"]) == 2
    assert "choose one of 1, 2, 3" in capsys.readouterr().err
    monkeypatch.chdir(ROOT)
    assert cli.main(["lesson", "2", "--fresh"]) == 0  # in the repository there is nothing to copy
    assert not list(ROOT.glob("*-old-*"))


def test_a_class_is_told_apart_and_its_commonest_mistake_is_named(check, tmp_path, monkeypatch, capsys):
    from checks import answers

    wrong = {"turned": lambda images: images.T, "right": lambda images: images.transpose(0, 2, 3, 1)}
    for name, tries in {"anna": ["turned", "right"], "bela": ["turned"], "cleo": []}.items():
        (tmp_path / name).mkdir()
        monkeypatch.setattr(answers, "FILE", tmp_path / name / "answers.jsonl")
        monkeypatch.setattr(answers, "history", [])
        for answer in tries:
            check("01.3", wrong[answer])
        check.solution("01.1") if name == "cleo" else None
    capsys.readouterr()
    assert cli.main(["class", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["01.1", "01.3"],
        ["anna", ".", "+2"],
        ["bela", ".", "-1"],
        ["cleo", "!", "."],
    ]
    assert any(line.startswith("01.3, 2 of 3: ") and "all axes are reversed" in line for line in lines)
    assert cli.main(["class", str(tmp_path / "nowhere")]) == 2
    assert "answers.jsonl" in capsys.readouterr().err


PROGRAMS = "tinyhpe|python|pip|py|pytest|jupyter|marimo"
FOR_INSTALLING = ("pip", "py", "jupyter", "marimo", "python -m pip", "python -m venv")  # a network, or minutes


def commands_in(text):
    """The commands of code blocks, and those with arguments between backticks."""
    program = rf"(?:[\w./\\]*[/\\])?(?:{PROGRAMS})"
    lines = re.findall(rf"^ *({program} .+?)(?:  #.*)?$", "".join(re.split("```", text)[1::2]), re.MULTILINE)
    inline = re.findall(rf"(?<!`)`[!%]?({program} [^`\n]+)`", text)
    return [re.sub(r"^[^ ]*[/\\]", "", command).strip() for command in lines + inline]


def test_the_commands_in_the_texts_work(tmp_path, monkeypatch):
    paths = [*ROOT.glob("*.md"), *ROOT.glob("[0-9]*.py")]
    commands = [command for path in paths for command in commands_in(path.read_text())]
    monkeypatch.chdir(tmp_path)
    run_of_each = dict.fromkeys(PROGRAMS.split("|"), 0)
    (tmp_path / "FOLDER" / "anna").mkdir(parents=True)
    record = {"exercise": "01.1", "verdict": "right", "diagnosis": ""}
    (tmp_path / "FOLDER" / "anna" / "answers.jsonl").write_text(json.dumps(record))
    for command in dict.fromkeys(commands):
        words = shlex.split(command)
        run_of_each[words[0]] += 1
        if command.startswith(FOR_INSTALLING):
            continue
        if words[0] == "pytest":
            assert Path(ROOT.parent, words[1]).is_file()
            assert words[2:] in ([], ["-k", "02_autograd"])
        elif words[0] == "python" and words[1] == "-c":
            printed = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=True)
            assert Path(printed.stdout.strip()) == ROOT
        elif words[0] == "python":  # as run_lesson() calls it
            assert words[1:3] == ["-m", "checks.run"]
            assert words[3] in LESSONS
            assert words[4:] == ["--exercises", "solutions"]
        elif len(words) == 2:
            assert words[1] in cli.COMMANDS
        elif words[1] in ("lesson", "class"):
            assert cli.main(words[1:]) == 0
        else:
            assert cli.make_parser(words[1:2]).parse_args(words[1:])
    assert all(run_of_each.values())


def test_the_whole_idea_on_one_page_sorts_its_heads_and_its_gradients_are_right(capsys):
    page = runpy.run_path(str(ROOT / "one_page.py"))
    printed = capsys.readouterr().out.splitlines()
    order, strangers = ([int(yaw) for yaw in line.split()[-12:]] for line in printed[-2:])
    assert order == sorted(order) != strangers
    assert np.corrcoef(strangers, order)[0, 1] > 0.5
    weights = [page["Tensor"](weight.data.copy()) for weight in page["weights"]]

    def loss():
        return page["pair_loss"](page["network"](page["heads"], *weights), page["yaws"])

    loss().backward()
    for weight in weights:
        place = np.unravel_index(np.abs(weight.grad).argmax(), weight.data.shape)
        values = []
        for nudge in (1e-6, -2e-6):
            weight.data[place] += nudge
            values.append(loss().data)
        weight.data[place] += 1e-6
        assert weight.grad[place] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_a_notebook_runs_in_jupyter(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="a notebook is executed with nbclient (extra dev)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # nobody's own IPython settings
    notebook = jupytext.read(copy_lesson(3, tmp_path))  # as a student has it: with its checks, without solutions
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=GATE_SECONDS, resources=where).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 4
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("is still to be done" in output.get("data", {}).get("text/html", "") for output in shown)


def test_a_mistake_that_no_list_knows_is_named_by_the_one_thing_that_differs_from_the_solution(check, capsys):
    globals()["np"] = np

    def short_gradient(g, n, std, gamma):
        return gamma / std * (g - g.mean(0) - (n * g * n).mean(0))

    check("05.5", short_gradient)
    assert "something stands inside of mean that belongs outside" in " ".join(capsys.readouterr().out.split())


def test_right_answers_in_other_styles_are_right(check, capsys):
    class LogSumExp(Op):
        samples = staticmethod(lambda rng: iter([Sample((rng.normal(size=(3, 3)),))]))

        def forward(self, xp, x):
            top = x.max(axis=1, keepdims=True)
            e = xp.exp(x - top)
            self.share = e / e.sum(axis=1, keepdims=True)
            return (top + xp.log(e.sum(axis=1, keepdims=True)))[:, 0]

        def backward(self, xp, g):
            return (g.reshape(-1, 1) * self.share,)

    try:
        check("03.5", LogSumExp)
    finally:
        Op.registry.pop("LogSumExp", None)
    assert "03.5 is right" in capsys.readouterr().out
