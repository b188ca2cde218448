"""Quicker ways of doing the same thing, and how they are left out.

What can be done quickly (an Op, an optimizer's update, a network's prediction) has a tuple `ways`, filled by
tinyhpe/fast: classes whose functions take the place of its own, with the same `self`.
"""

import contextlib
from contextvars import ContextVar

_left_out = ContextVar("left_out", default=())  # names of ways, of this thread or task; None: all of them


@contextlib.contextmanager
def plain(*names):
    """Inside this context the ways of these names are not taken; without names, none is."""
    before = _left_out.get()
    token = _left_out.set((*before, *names) if names and before is not None else None)
    try:
        yield
    finally:
        _left_out.reset(token)


def choose_way(doer, xp, *arrays):
    """The first of doer.ways that suits the arrays, else the class of `doer`: the plain way.

    Args:
        xp: the module, numpy or cupy, that the arrays belong to.
    """
    left_out = _left_out.get()
    for way in () if left_out is None else doer.ways:
        if way.__name__ not in left_out and way.suits(doer, xp, *arrays):
            return way
    return type(doer)
