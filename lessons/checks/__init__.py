"""The grader of the lessons: `from checks import check`. How it is used and extended: lessons/AUTHORS.md."""

import contextlib

from checks.display import in_notebook
from checks.grader import check
from tinyhpe.blas import controller

__all__ = ["check"]

if in_notebook():
    with contextlib.suppress(ImportError):  # in a browser BLAS has one thread anyway
        controller().limit(limits=1)  # with two, beside busy programs, lesson 9 took 78 seconds of them, not 12
