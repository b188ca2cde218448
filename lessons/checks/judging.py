"""What judges are written with: Wrong, call() and compare().

A judge is a function that takes the student's answer, raises Wrong where it is not right, and returns one sentence
for when it is. Cases go from small to large, so that the first that fails is the smallest.
"""

import itertools
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import tinyhpe
from checks.relations import DEFINITE, cancels, explain_values, same

UNKNOWN = "this is none of the mistakes that this check knows"


class Case(SimpleNamespace):
    """What the function was given, what came out, what should have: inputs, got, expected."""

    def __repr__(self):
        parts = [(f"input {number}", value) for number, value in enumerate(self.inputs or ())]
        return "\n".join(
            f"{name}: {shown(value)}" for name, value in [*parts, ("got", self.got), ("expected", self.expected)]
        )


def shown(value):
    """An array with its dtype and shape, in four digits; other things as they are."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    return f"{value.dtype} {value.shape}\n{np.array2string(value, precision=4, suppress_small=True)}"


case = Case(inputs=None, got=None, expected=None)  # of the last call; check.case is a copy when it fails


class Wrong(Exception):
    """An answer that is not right.

    Args:
        what: what was seen, with numbers.
        why: the cause, as far as it can be guessed; always the same words for the same mistake, since
            `tinyhpe class` counts them.
        hint: what to try; never the whole answer.
        vague: whether it is only how the result looks; then nearmisses.py looks for the cause.
    """

    def __init__(self, what, why, hint, vague=False):
        super().__init__(what)
        self.what, self.why, self.hint, self.vague = what, why, hint, vague or why == UNKNOWN


def call(function, *inputs, changes=False, errors=()):
    """Call the student's function with copies of the inputs; an exception, None, or a changed input becomes Wrong.

    Args:
        changes: whether the function is meant to change its inputs (and may return None); then it gets the
            inputs themselves.
        errors: for each exception that a typical mistake causes (a part of its name and message, why, hint).
    """
    given = inputs if changes else copied(inputs)
    case.inputs, case.got, case.expected = copied(inputs), None, None
    try:
        output = case.got = function(*given)
    except Wrong:  # raised by an input that watches over how it is used
        raise
    except Exception as error:  # whatever the student's code raises is an answer to explain
        raise explain(error, errors) from error
    if changes:
        return output
    if output is None:
        raise Wrong(
            "it returns None, that is, nothing",
            "the exercise is not done yet, or the last line computes the result but does not return it",
            "write the body of the function and end it with `return ...`",
        )
    for number, (before, after) in enumerate(zip(case.inputs, given, strict=True)):
        if not unchanged(before, after):
            raise Wrong(
                f"the array that it was given (input {number}) is another one after the call",
                "the function works in place: += or [...] = on an input, or a view of it, changes the "
                "caller's own",
                "make a new array: a = a + b does, a += b does not; a.copy() if you want to fill one",
            )
    return output


def refuse_borrowed(answer, *names):
    """Raise Wrong if the answer uses a function that does the whole exercise."""
    codes = [answer.__code__] if hasattr(answer, "__code__") else []
    for code in codes:  # it grows
        codes += [constant for constant in code.co_consts if hasattr(constant, "co_names")]
        if found := [name for name in names if name in code.co_names]:
            raise Wrong(
                f"it uses {found[0]}",
                "that function does the whole exercise; it is to be written here, and compared with afterwards",
                "write it out, and use the other for a test of your own",
            )


def copied(value):
    """Copy arrays, those in lists and tuples too; leave the rest as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def unchanged(before, after):
    """Whether an input (an array, or a list or tuple of them; of other things nothing is known) is as it was."""
    if isinstance(before, np.ndarray):
        return np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(unchanged, before, after))
    return True


def explain(error, errors=()):
    """Turn an exception of the student's code into Wrong: which line, and what it means (see call())."""
    ours = str(Path(__file__).parent), str(Path(tinyhpe.__file__).parent)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    place = f", in line {frames[0].lineno} of your cell: {frames[0].line or ''}" if frames else ""
    meanings = {
        RecursionError: "a function called itself more often than Python allows, which is about 1,000 times",
        NotImplementedError: "a function that is still to be written was called",
        UnboundLocalError: "a name is used before it has a value: assigning to a name inside a function "
        "makes it local to the whole function",
        NameError: "a name is used that nothing has defined: a typing error, or a cell above was not run",
        AttributeError: "an object is asked for something that it does not have",
        IndexError: "an array or list is asked for an element that it does not have",
        KeyError: "a dictionary is asked for a key that it does not have",
        ZeroDivisionError: "something is divided by 0",
        TypeError: "a function got something of another kind, or another number of arguments, than it takes",
        ValueError: "the kind is right and the value is not; with arrays, most often two shapes do not fit",
    }
    why = next((text for kind, text in meanings.items() if isinstance(error, kind)), "see the message above")
    message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    for part, known_why, hint in errors:
        if part in message:
            return Wrong(f"it stops with {message}{place}", known_why, hint)
    return Wrong(
        f"it stops with {message}{place}",
        why,
        "call your function in a cell of its own with a small example, and print the shapes on the way",
    )


def compare(
    given,
    got,
    expected,
    mistakes=(),
    tolerance=1e-6,
    hint="compute one element of check.case by hand, and compare",
    rough=None,
    unknown=UNKNOWN,
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
        unknown: the cause of all other wrong values, where there can be only one.
    """
    expected = np.asarray(expected)
    case.got, case.expected = got, expected
    rough = tolerance if rough is None else rough
    for result, what, why, try_this in mistakes:
        if (
            not cancels(result, expected)
            and same(got, result, rough)
            and not same(got, expected, tolerance)
            and not same(result, expected, tolerance)
        ):
            raise Wrong(f"{given} {what}", why, try_this)
    if not isinstance(got, (np.ndarray, np.generic, float, int)):
        raise Wrong(
            f"{given} it returns a {type(got).__name__}",
            "the answer is to be one array",
            "np.stack makes one array of several",
        )
    got = np.asarray(got)
    if got.shape != expected.shape:
        judge_shape(given, got, expected, tolerance)
    if not same(got, expected, tolerance):
        judge_values(given, got, expected, tolerance, hint, unknown)
    if got.dtype != expected.dtype:
        raise Wrong(
            f"{given} the values are right, but the dtype is {got.dtype}; it should be {expected.dtype}",
            "arithmetic with another dtype changes it, and nobody says so",
            "find the first line after which the dtype is another one: a constant, an array or a function made so",
        )


def judge_shape(given, got, expected, tolerance):
    """Explain a wrong shape."""
    what = f"{given} the result has the shape {got.shape}; it should have {expected.shape}"
    if same(got.squeeze(), expected.squeeze(), tolerance):
        raise Wrong(
            what,
            "the numbers are right, but an axis of length 1 is too many or missing",
            "keepdims=True keeps such an axis; indexing with 0, or reshape, removes it",
        )
    if got.size == expected.size and same(got.ravel(), expected.ravel(), tolerance):
        raise Wrong(
            what, "the numbers are right and in the right order, but cut into another shape", "print .shape"
        )
    if got.ndim == expected.ndim <= 5:
        for order in itertools.permutations(range(got.ndim)):
            if same(got.transpose(order), expected, tolerance):
                raise Wrong(
                    what,
                    "the numbers are right, but the axes are in another order",
                    "say for each axis of your result what it counts, and compare with the docstring",
                )
    if got.ndim < expected.ndim:
        why, hint = "an axis is lost", "print the shape after every line: where does the axis go?"
    elif got.ndim > expected.ndim:
        why, hint = "there is an axis too many", "print the shape after every line: where does it come from?"
    else:
        why, hint = explain_lengths(got.shape, expected.shape), "print the shape after every line"
    raise Wrong(what, why, hint, vague=True)


def explain_lengths(got, expected):
    """Why a shape is wrong that has the right number of axes."""
    wrong = [axis for axis, (mine, right) in enumerate(zip(got, expected, strict=True)) if mine != right]
    if sorted(got) == sorted(expected):
        return "two axes are exchanged"
    if len(wrong) == 1 and got[wrong[0]] in expected:
        return "an axis has the length that another one should have: two lengths were taken for the same"
    if all(abs(got[axis] - expected[axis]) == 1 for axis in wrong):
        return "an axis is too long or too short by one: off by one at a border, or in a loop"
    return "an axis has another length, or is in another place"


def judge_values(given, got, expected, tolerance, hint, unknown):
    """Explain wrong values of the right shape."""
    if unknown == UNKNOWN and (found := explain_values(got, expected, case.inputs or (), tolerance)):
        what, why, try_this = found
        raise Wrong(f"{given} {what}", why, try_this, vague=why not in DEFINITE)
    place = np.unravel_index(np.abs(got.astype(complex) - expected).argmax(), expected.shape)
    where = f"at {[int(i) for i in place]} " if expected.shape else ""
    raise Wrong(
        f"{given} the result {where}is {got[place]:.7g}; it should be {expected[place]:.7g}", unknown, hint
    )
