"""What the command line, and the description in a model or a checkpoint, may say: types and ranges."""

import math

from tinyhpe.errors import InputError

RANGES = {  # of numbers, wherever a description has one of that name
    "heads": (1, 10**9),
    "input_size": (16, 1024),  # pixels
    "epochs": (1, 10**9),
    "batch_size": (1, 10**9),
    "lr": (1e-12, 1.0),
    "seed": (0, 2**31),
}
NUMBERS = {int: "a whole number", float: "a number"}


def check_form(name, value, example):
    """Raise InputError unless what a file says has the form of an example.

    A dict must have the example's keys, and may have more; all that a list holds must be like the example's first.
    Numbers must be finite and in their range; whole numbers are not negative.
    """
    kind = type(example)
    if type(value) is not kind:
        raise InputError(f"{name} is {value!r:.80}, not {NUMBERS.get(kind, kind.__name__)}")
    if kind is dict:
        for key, part in example.items():
            check_form(key, value.get(key), part)
    elif kind is list:
        for part in value:
            check_form(name, part, example[0])
    elif kind in NUMBERS:
        low, high = RANGES.get(name, (0 if kind is int else -math.inf, math.inf))
        if not low <= value <= high or value in (-math.inf, math.inf):
            raise InputError(f"{name} is {value}, not {NUMBERS[kind]} from {low} to {high}")
