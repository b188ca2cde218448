"""Run a lesson from top to bottom without Jupyter, as the tests do.

In the folder lessons/:  python -m checks.run 02_autograd --exercises solutions
"""

import argparse
import contextlib
import io
import json
import os
import pathlib

from checks import grader
from checks.sources import execute, read_answers, read_code, task_of


def run(name, exercises="stubs"):
    """Run all cells of a lesson in one new namespace.

    Args:
        name: such as "02_autograd".
        exercises: "stubs" leaves them alone, "solutions" solves them, "mistakes" tries each known mistake
            before the stub, and leaves out cells that begin with `# Slow`.

    Returns:
        {"verdicts": {exercise: verdict}, "figures": how many were shown, "seconds": of computing, on all cores,
        "mistakes": [[exercise, remark, verdict, what check() printed], ...], "ended": by check.end()}
    """
    import matplotlib.pyplot as plt

    started, tried, figures = sum(os.times()[:4]), [], []

    def show():
        figures.extend(plt.get_fignums())
        plt.close("all")

    plt.show = show
    namespace = {"__name__": "__main__"}
    solutions = {number: source for number, _, source in read_answers("solutions", name)}
    mistakes = read_answers("mistakes", name) if exercises == "mistakes" else []
    cells, ended = read_code(name), False
    for place, source in enumerate(cells):
        title, number = f"{name}, code cell {place + 1}", task_of(source)
        if exercises == "mistakes" and source.startswith("# Slow"):
            continue
        for number_of_mistake, remark, mistake in mistakes if number else ():
            if number_of_mistake == number:
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    execute(source, title, namespace)  # so that a mistake finds the stub's other names
                    execute(mistake, f"mistake {number}", namespace)
                    execute(cells[place + 1], title, namespace)
                tried.append([number, remark, grader.verdicts[number], " ".join(printed.getvalue().split())])
        solved = number and exercises == "solutions"
        try:
            execute(solutions[number] if solved else source, f"solution {number}" if solved else title, namespace)
        except grader.EndOfLesson:
            ended = True
            break
    seconds = sum(os.times()[:4]) - started
    return {
        "verdicts": grader.verdicts,
        "figures": len(figures),
        "seconds": seconds,
        "mistakes": tried,
        "ended": ended,
    }


def main():
    parser = argparse.ArgumentParser(description="Run a lesson from top to bottom without Jupyter.")
    parser.add_argument("lesson", help="such as 02_autograd")
    parser.add_argument("--exercises", choices=["stubs", "solutions", "mistakes"], default="stubs")
    parser.add_argument("--report", type=pathlib.Path, help="write the outcome to this file, as JSON")
    arguments = parser.parse_args()
    report = run(arguments.lesson.removesuffix(".py"), arguments.exercises)
    if arguments.report:
        arguments.report.write_text(json.dumps(report), encoding="ascii")
    right = sum(verdict == "right" for verdict in report["verdicts"].values())
    print(f"\n{arguments.lesson}: {report['seconds']:.1f} s, {right} of {len(report['verdicts'])} exercises right")


if __name__ == "__main__":
    main()
