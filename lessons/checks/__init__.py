"""The grader of the lessons: `from checks import check`. How it is used and extended: lessons/AUTHORS.md."""

from checks.grader import check

__all__ = ["check"]
