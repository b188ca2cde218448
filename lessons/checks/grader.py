"""check(): judge an answer at once, and say what is wrong, why, and what to try.

The judges of lesson 2 are in lesson_02.py, and so on. A judge is a function that takes the student's
answer, raises Wrong where it is not right, and returns one sentence for when it is.
"""

import importlib
import pathlib
import textwrap
import traceback

import numpy as np

results = {}  # exercise -> whether its last check passed; the tests read it


class Wrong(Exception):
    """An answer that is not right.

    Args:
        what: what was seen, with numbers.
        why: the cause, as far as it can be guessed.
        hint: what to try; never the whole answer.
    """

    def __init__(self, what, why, hint):
        super().__init__(what)
        self.what, self.why, self.hint = what, why, hint


def check(number, answer):
    """Judge the answer to an exercise, print the verdict, and return whether it is right.

    Args:
        number: the exercise, such as "02.1".
        answer: your function or class.
    """
    judges = importlib.import_module(f"checks.lesson_{number[:2]}").JUDGES
    if number not in judges:
        raise ValueError(f"there is no exercise {number!r}; lesson {number[:2]} has {', '.join(judges)}")
    try:
        if not callable(answer):
            raise Wrong(
                f"this is a {type(answer).__name__}, not a function or a class",
                "check() calls your function itself, with its own data",
                'give its name without brackets, as in check("01.1", brighten)',
            )
        lesson_learned = judges[number](answer)
    except Wrong as wrong:
        print(f"{number} is not right yet.")
        for label, text in [("What:", wrong.what), ("Why: ", wrong.why), ("Try: ", wrong.hint)]:
            print(textwrap.fill(text, 100, initial_indent=f"  {label} ", subsequent_indent=" " * 8))
        results[number] = False
    else:
        print(textwrap.fill(f"{number} is right. {lesson_learned}", 100))
        results[number] = True
    return results[number]


def call(function, *inputs):
    """Call the student's function with copies of arrays; an exception or None becomes Wrong."""
    try:
        output = function(*[value.copy() if isinstance(value, np.ndarray) else value for value in inputs])
    except Wrong:  # raised by an input that watches over how it is used
        raise
    except Exception as error:  # whatever the student's code raises is an answer to explain
        raise explain(error) from error
    if output is None:
        raise Wrong(
            "it returns None, that is, nothing",
            "the exercise is not done yet, or the last line computes the result but does not return it",
            "write the body of the function and end it with `return ...`",
        )
    return output


def explain(error):
    """Turn an exception of the student's code into Wrong: which line, and what it means."""
    ours = str(pathlib.Path(__file__).parent)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    place = f", in line {frames[0].lineno} of your cell: {frames[0].line or ''}" if frames else ""
    meanings = {
        RecursionError: "a function called itself more often than Python allows, which is about 1,000 times",
        NameError: "a name is used that nothing has defined: a typing error, or a cell above was not run",
        AttributeError: "an object is asked for something that it does not have",
        TypeError: "a function got something of another kind, or another number of arguments, than it takes",
        ValueError: "the kind is right and the value is not; with arrays, most often two shapes do not fit",
    }
    why = next((text for kind, text in meanings.items() if isinstance(error, kind)), "see the message above")
    return Wrong(
        f"it stops with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{place}",
        why,
        "call your function in a cell of its own with a small example, and print the shapes on the way",
    )


def same(got, expected, tolerance=1e-6):
    """Whether two arrays agree in shape and, relative to the largest value, in content."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape or got.dtype.kind not in "biufc":
        return False
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool((np.abs(got.astype(complex) - expected) <= tolerance * scale).all())  # a NaN is not the same


def compare(
    given, got, expected, mistakes=(), tolerance=1e-6, hint="compute one element by hand and compare", rough=None
):
    """Raise Wrong unless `got` equals `expected` in kind, shape, dtype and value.

    Args:
        given: the input in words, to begin the explanation with.
        got: what the student's function returned.
        expected: the right array.
        mistakes: for each typical mistake (the array that it gives, what, why, hint).
        tolerance: allowed error, relative to the largest expected value (or 1).
        hint: what to try where no typical mistake fits.
        rough: the tolerance for recognising mistakes, where it is another one.
    """
    rough = tolerance if rough is None else rough
    for result, what, why, try_this in mistakes:
        if same(got, result, rough) and not same(result, expected, rough):
            raise Wrong(f"{given} {what}", why, try_this)
    if not isinstance(got, (np.ndarray, np.generic, float, int)):
        raise Wrong(f"{given} it returns a {type(got).__name__}", "the answer is to be an array", hint)
    got = np.asarray(got)
    if got.shape != expected.shape:
        raise Wrong(
            f"{given} the result has the shape {got.shape}; it should have {expected.shape}",
            "an axis is lost, added, or in another place",
            "print the shape after every line; keepdims=True keeps an axis, x[None] and x[:, None] add one",
        )
    if not same(got, expected, tolerance):
        place = np.unravel_index(np.abs(got.astype(complex) - expected).argmax(), expected.shape)
        where = f"at {[int(i) for i in place]} " if expected.shape else ""
        raise Wrong(
            f"{given} the result {where}is {got[place]:.7g}; it should be {expected[place]:.7g}",
            "this is none of the mistakes that this check knows",
            hint,
        )
    if got.dtype != expected.dtype:
        raise Wrong(
            f"{given} the values are right, but the dtype is {got.dtype}; it should be {expected.dtype}",
            "arithmetic with another dtype changes it, and nobody says so",
            f"end with .astype(np.{expected.dtype}), or keep foreign dtypes out of the arithmetic",
        )
