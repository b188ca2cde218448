"""The grader of the lessons: `from checks import check`."""

from checks.grader import check

__all__ = ["check"]
