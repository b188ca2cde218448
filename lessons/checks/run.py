"""Run a lesson from top to bottom without Jupyter, as the tests do.

In the folder lessons/:  python -m checks.run 02_autograd --exercises solutions
"""

import argparse
import contextlib
import io
import json
import pathlib
import re
import sys
import time

from checks import grader

LESSONS = pathlib.Path(__file__).parents[1]


def split_cells(text):
    """Split a percent-format file into (heading, source) pairs; the heading is what follows `# %%`."""
    pieces = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    return [
        (heading.strip(), source.strip("\n")) for heading, source in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def read_code(name):
    """The sources of a lesson's code cells."""
    text = (LESSONS / f"{name}.py").read_text(encoding="ascii")
    return [source for heading, source in split_cells(text) if not heading.startswith("[markdown]")]


def read_answers(folder, name):
    """The (exercise, remark, source) of each cell in solutions/NAME.py or mistakes/NAME.py.

    A cell's heading is the exercise's number; in mistakes/ it goes on with a part of the explanation
    that the mistake must get: `# %% 02.1: overwrites`.
    """
    answers = []
    for heading, source in split_cells((LESSONS / folder / f"{name}.py").read_text(encoding="ascii")):
        number, _, remark = heading.partition(": ")
        answers.append((number, remark, source))
    return answers


def exercise_of(source):
    """The number of the exercise that a code cell holds the stub of, or None."""
    found = re.match(r"# Exercise (\d\d\.\d)", source)
    return found and found[1]


def execute(source, title, namespace):
    """Run one cell."""
    exec(compile(source, f"<{title}>", "exec"), namespace)


def run(name, exercises="stubs"):
    """Run all cells of a lesson in one new namespace.

    Args:
        name: such as "02_autograd".
        exercises: "stubs" leaves them alone, "solutions" solves them, "mistakes" tries each known mistake
            after the stub's own check, and then puts the stub back.

    Returns:
        {"results": {exercise: passed}, "figures": how many were shown, "seconds": ...,
        "mistakes": [[exercise, remark, passed, what check() printed], ...]}
    """
    import matplotlib.pyplot as plt

    started, tried, figures = time.perf_counter(), [], []

    def show():
        figures.extend(plt.get_fignums())
        plt.close("all")

    plt.show = show
    namespace = {"__name__": "__main__"}
    solutions = {number: source for number, _, source in read_answers("solutions", name)}
    mistakes = read_answers("mistakes", name) if exercises == "mistakes" else []
    cells = read_code(name)
    for place, source in enumerate(cells):
        title = f"{name}, code cell {place + 1}"
        number = exercise_of(source)
        if number and exercises == "solutions":
            execute(solutions[number], f"solution {number}", namespace)
            continue
        execute(source, title, namespace)
        for number_of_mistake, remark, mistake in mistakes if number else ():
            if number_of_mistake == number:
                printed = io.StringIO()
                execute(mistake, f"mistake {number}", namespace)
                with contextlib.redirect_stdout(printed):
                    execute(cells[place + 1], title, namespace)
                tried.append([number, remark, grader.results[number], " ".join(printed.getvalue().split())])
                execute(source, title, namespace)
    seconds = time.perf_counter() - started
    return {"results": grader.results, "figures": len(figures), "seconds": seconds, "mistakes": tried}


def main():
    parser = argparse.ArgumentParser(description="Run a lesson from top to bottom without Jupyter.")
    parser.add_argument("lesson", help="such as 02_autograd")
    parser.add_argument("--exercises", choices=["stubs", "solutions", "mistakes"], default="stubs")
    parser.add_argument("--report", type=pathlib.Path, help="write the outcome to this file, as JSON")
    arguments = parser.parse_args()
    sys.path.insert(0, str(LESSONS))
    report = run(arguments.lesson.removesuffix(".py"), arguments.exercises)
    if arguments.report:
        arguments.report.write_text(json.dumps(report), encoding="ascii")
    right = sum(report["results"].values())
    print(f"\n{arguments.lesson}: {report['seconds']:.1f} s, {right} of {len(report['results'])} exercises right")


if __name__ == "__main__":
    main()
