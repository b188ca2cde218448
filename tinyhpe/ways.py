"""Quicker ways of doing the same thing, and how they are left out.

What can be done quickly (an Op, an optimizer's update, a network's prediction) has a class with a tuple `ways`,
filled by tinyhpe/fast: classes whose functions take the place of its own, with the same `self`.
"""

import contextlib
from contextvars import ContextVar

ALL = "all of them"
_left_out = ContextVar("left_out", default=())  # names of ways; each thread or task has a value of its own
watcher = ContextVar("watcher", default=None)  # what profile() puts here is given (doer, way), and returns a way


@contextlib.contextmanager
def without(*names):
    """Inside this context the ways of these names are not taken."""
    token = _left_out.set((*_left_out.get(), *names))
    try:
        yield
    finally:
        _left_out.reset(token)


def plain():
    """Inside this context everything is done in its plain way."""
    return without(ALL)


def choose_way(doer, xp, *arrays):
    """The first of doer.ways that suits the arrays, else the class of `doer`: the plain way.

    Args:
        xp: the module, numpy or cupy, that the arrays belong to.
    """
    left_out, watch = _left_out.get(), watcher.get()
    ways = vars(type(doer)).get("ways", ())  # not inherited: who derives from an op may compute something else
    allowed = () if ALL in left_out else (way for way in ways if way.__name__ not in left_out)
    way = next((way for way in allowed if way.suits(doer, xp, *arrays)), type(doer))
    return watch(doer, way) if watch else way
