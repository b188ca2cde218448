"""check: judge an answer at once, say what is wrong, why, and what to try, and let the notebook go on.

The judges of lesson 2 are in lesson_02.py, and so on: JUDGES and HINTS, exercise by exercise.
"""

import copy
import importlib
import sys

from checks import answers, judging, nearmisses, sources
from checks.display import show
from checks.judging import Wrong, explain

verdicts = {}  # exercise -> "right", "wrong" or "untouched"; the tests read it
ours = []  # functions and classes that stand in for wrong answers


class Check:
    """The object `check` of every lesson.

    Attributes:
        case: the smallest input that failed in the last check: case.inputs, case.got, case.expected.
    """

    case = None

    def __init__(self):
        self.last, self.hints_given = None, {}

    def __call__(self, number, answer):
        """Judge the answer to an exercise, show the verdict, and return what later cells shall use.

        Args:
            number: the exercise, such as "02.1".
            answer: your function or class.

        Returns:
            The answer, if it is right; else the solution's, so that the notebook runs on.
        """
        judge, self.last = find(number, "JUDGES"), number
        if any(answer is reference for reference in ours):
            show(
                "open",
                f"{number}: this is our {answer.__name__}, which stands in for yours. Run the cell with your own "
                "again, and then this one.",
            )
            return answer
        try:
            if not callable(answer):
                raise Wrong(
                    f"this is a {type(answer).__name__}, not a function or a class",
                    "check() calls your function itself, with its own data",
                    f'give its name without brackets, as in check("{number}", name)',
                )
            lesson_learned = judge(answer)
        except Wrong as wrong:
            return self.refuse(number, answer, wrong, sys._getframe(1).f_globals)
        except Exception as error:  # an answer so odd that the judge itself stumbles
            return self.refuse(number, answer, explain(error), sys._getframe(1).f_globals)
        self.case, verdicts[number] = None, "right"
        answers.record(number, "right")
        show("right", f"{number} is right. {lesson_learned}")
        return answer

    def refuse(self, number, answer, wrong, namespace):
        """Show what is wrong and return the solution's function or class."""
        self.case = copy.copy(judging.case)
        try:
            reference = sources.define(sources.solution_of(number), f"solution {number}", namespace)
            untouched = sources.is_stub(answer, sources.define(sources.stub_of(number), "stub", namespace))
        except Exception as error:
            show(
                "wrong",
                f"{number} cannot be judged here: {type(error).__name__}: {error}. A name that a cell above "
                "defines is missing or means something else now. Restart the kernel, and run all cells above.",
            )
            return answer
        ours.append(reference)
        verdicts[number] = "untouched" if untouched else "wrong"
        if untouched:
            show(
                "open",
                f"{number} is still to be done; until then the notebook goes on with our {reference.__name__}.",
            )
            return reference
        if wrong.vague:
            wrong = nearmisses.explain(number, wrong, find(number, "JUDGES"), answer, namespace) or wrong
        answers.record(number, "wrong", wrong.why, wrong.what)
        rows = [("What", wrong.what), ("Why", wrong.why), ("Try", wrong.hint)]
        show("wrong", f"{number} is not right yet; the notebook goes on with our {reference.__name__}.", rows)
        return reference

    def hint(self, number=None):
        """Show the next hint for an exercise, by default the one that was checked last."""
        number = number or self.last
        if number is None:
            return show("open", 'Which exercise? For example: check.hint("02.1")')
        hints = find(number, "HINTS")
        given = self.hints_given.get(number, 0)
        if not hints:
            return show("open", f"{number} is a challenge: no hints. You know all that it needs.")
        if given == len(hints):
            return show(
                "open",
                f"{number}: that were all {given} hints. Explain the exercise to somebody, and say where you are "
                f'stuck. After that: check.solution("{number}")',
            )
        self.hints_given[number] = given + 1
        answers.record(number, "hint", str(given + 1))
        return show("open", f"{number}, hint {given + 1} of {len(hints)}: {hints[given]}")

    def solution(self, number):
        """Print a solution. It is noted in answers.jsonl that you looked."""
        find(number, "JUDGES")
        answers.record(number, "solution")
        print(sources.solution_of(number))

    def progress(self):
        """List the exercises of this lesson: not touched, wrong, right."""
        lesson = (self.last or max(verdicts, default="01.1"))[:2]
        states = dict.fromkeys(importlib.import_module(f"checks.lesson_{lesson}").JUDGES, "not touched")
        for entry in answers.history:
            if entry["exercise"] in states and entry["verdict"] in ("right", "wrong"):
                states[entry["exercise"]] = entry["verdict"]
        right = sum(state == "right" for state in states.values())
        rows = list(states.items())
        show("right" if right == len(states) else "open", f"Lesson {lesson}: {right} of {len(states)} right", rows)

    def reveal(self, guess, truth):
        """Show a guess from a predict cell beside what came out."""
        truth = f"{truth:.4g}" if isinstance(truth, float) else truth
        said = "You wrote no guess" if guess is None else f"You guessed {guess}"
        show("open", f"{said}; it is {truth}.")

    def end(self, reason):
        """End a lesson that cannot run here: show why, and run no cell after this one."""
        show("open", reason)
        raise EndOfLesson


class EndOfLesson(Exception):
    """Stops a notebook. Jupyter draws nothing for it."""

    def _render_traceback_(self):
        return []


def find(number, table):
    """What the lesson's JUDGES or HINTS hold for an exercise, or None."""
    lesson = importlib.import_module(f"checks.lesson_{number[:2]}")
    if number not in lesson.JUDGES:
        raise ValueError(f"there is no exercise {number!r}; lesson {number[:2]} has {', '.join(lesson.JUDGES)}")
    return getattr(lesson, table).get(number)


check = Check()
