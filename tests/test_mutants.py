"""The backward of every op, and of each of its quicker ways, is broken as below; check_op must see each of them.

`python -m tests.test_mutants` prints the table: how many mutants of each kind there are, and how many died.
"""

import ast
import inspect
import itertools
import sys
import textwrap
from typing import NamedTuple

import numpy as np
import pytest

from tinyhpe.checks import all_ops, check_op
from tinyhpe.tensor import Op

# name -> (op class, quicker way or None); the ways for GPUs are compared with the plain ops in test_cuda.py
TARGETS = {name: (op_class, None) for name, op_class in all_ops().items()} | {
    f"{name} by {way.__name__}": (op_class, way)
    for name, op_class in all_ops().items()
    for way in op_class.ways
    if "cuda" not in way.__module__
}


class Mutant(NamedTuple):
    """One change: `owner.name` is to be replaced by `code`."""

    kind: str
    change: str
    owner: object  # a class or a module
    name: str
    code: object


def whole_gradient_mutants(op_class, owner):
    """Changes of all gradients at once; `owner` is the op or the way whose backward is changed."""
    backward = owner.backward

    def zero(op, xp, g):
        return tuple(None if d is None else d * 0 for d in backward(op, xp, g))

    for kind, code in {
        "ignores g": lambda op, xp, g: backward(op, xp, xp.ones_like(g)),
        "zero": zero,
        "sign": lambda op, xp, g: backward(op, xp, -g),
        "double": lambda op, xp, g: backward(op, xp, 2 * g),
    }.items():
        yield Mutant(kind, kind, owner, "backward", code)


def one_gradient_mutants(op_class, owner):
    """Changes of one input's gradient, or of two."""
    backward = owner.backward
    inputs = max(len(sample.inputs) for sample in op_class.samples(np.random.default_rng(0)))

    def with_changed(number, change):
        def mutant(op, xp, g):
            gradients = list(backward(op, xp, g))
            if number < len(gradients):
                gradients[number] = change(op, xp, g, gradients[number])
            return tuple(gradients)

        return mutant

    def swapped(i, j):
        def mutant(op, xp, g):
            gradients = list(backward(op, xp, g))
            if j < len(gradients):
                gradients[i], gradients[j] = gradients[j], gradients[i]
            return tuple(gradients)

        return mutant

    for number in range(inputs):
        for kind, change in {
            "zeroes one input": lambda op, xp, g, d: d * 0,
            "loses one element": lambda op, xp, g, d: without_largest(d),
            "sums one slice of g": lambda op, xp, g, d, number=number: backward(op, xp, first_slice(g))[number],
        }.items():
            yield Mutant(kind, f"{kind}: {number}", owner, "backward", with_changed(number, change))
    for i, j in itertools.combinations(range(inputs), 2):
        yield Mutant("swaps two inputs", f"swaps {i} and {j}", owner, "backward", swapped(i, j))


def without_largest(d):
    d = d.copy()
    d.flat[np.abs(d).argmax()] = 0
    return d


def first_slice(g):
    """g, but 0 after the first place on its first axis that has more than one."""
    kept = np.zeros_like(g)
    longer = [axis for axis, length in enumerate(g.shape) if length > 1]
    if longer:
        first = (slice(None),) * longer[0] + (slice(0, 1),)
        kept[first] = g[first]
    return kept


def unbroadcast_mutants(op_class, owner):
    """The sum over the axes that were broadcast is forgotten, or its first term is taken for it."""

    def first_term(g, shape):
        return g[(0,) * (g.ndim - len(shape))][tuple(slice(0, length) for length in shape)]

    for place, name, _ in functions_behind(owner, "backward"):
        if name == "unbroadcast":
            yield Mutant("no un-broadcast", "leaves g as it is", place, name, lambda g, shape: g)
            yield Mutant("no un-broadcast", "takes the first term", place, name, first_term)


def functions_behind(start, method):
    """List (owner, name, function) of a method and of all in this package that it calls."""
    found, waiting = {}, [(start, method)]
    while waiting:
        owner, name = waiting.pop()
        function = inspect.getattr_static(owner, name)
        if (owner, name) in found or not inspect.isfunction(function) or not ours(function.__module__):
            continue
        found[owner, name] = function
        module = sys.modules[function.__module__]
        values = vars(module).values()
        modules = [value for value in values if inspect.ismodule(value)]
        helpers = [value for value in values if inspect.isclass(value) and ours(value.__module__)]
        helpers = [value for value in helpers if not issubclass(value, Op) and not hasattr(value, "suits")]
        places = (start, module, *helpers, *modules)
        for called in names_in(function.__code__):
            waiting += [(place, called) for place in places if called in dir(place)]
    return [(owner, name, function) for (owner, name), function in found.items()]


def ours(module_name):
    """Whether functions of this module are changed: those of ops and of their quicker ways."""
    return module_name.startswith(("tinyhpe.ops.", "tinyhpe.fast."))


def names_in(code):
    """All names that a function uses, those in its inner functions and comprehensions too."""
    inner = [names_in(constant) for constant in code.co_consts if inspect.iscode(constant)]
    return set(code.co_names).union(*inner)


def dropped_term_mutants(op_class, owner):
    """Each a + b and a - b in the source of backward keeps one side; each x += y and x -= y is dropped.

    So it is in what backward calls, but not in what forward calls as well.
    """
    shared = {function for _, _, function in functions_behind(owner, "forward")}
    for place, name, function in functions_behind(owner, "backward"):
        if function not in shared:
            for change, code in dropped_terms(function):
                yield Mutant("drops one term", f"{name}: {change}", place, name, code)


def dropped_terms(function):
    """Yield (change, function without a term)."""
    source = textwrap.dedent(inspect.getsource(function))
    for number, node in enumerate(ast.walk(ast.parse(source))):
        if not (isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, (ast.Add, ast.Sub))):
            continue
        for side in ("left", "right") if isinstance(node, ast.BinOp) else ("nothing",):
            tree = ast.parse(source)
            sum_node = list(ast.walk(tree))[number]
            rest = remainder(sum_node, side)
            replace(tree, sum_node, rest)
            scope = {}
            exec(
                compile(ast.fix_missing_locations(tree), function.__code__.co_filename, "exec"),
                function.__globals__,
                scope,
            )
            yield f"{ast.unparse(node)} -> {ast.unparse(rest)}", scope[function.__name__]


def remainder(node, side):
    """What is left of a sum when one term is dropped."""
    if side == "nothing":
        return ast.Pass()
    if side == "left":
        return node.left
    return node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)


def replace(tree, old, new):
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and old in value:
                value[value.index(old)] = new


def mutants(op_class, way):
    """All mutants of an op, or of one of its ways."""
    for generate in whole_gradient_mutants, one_gradient_mutants, unbroadcast_mutants, dropped_term_mutants:
        yield from generate(op_class, way or op_class)


def survives(mutant, op_class, way):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mutant.owner, mutant.name, mutant.code)
        try:
            check_op(op_class, way)
        except Exception:  # whatever stops it: a report, or a shape that does not fit
            return False
    return True


@pytest.mark.parametrize("name", TARGETS)
def test_an_op_passes_every_check_that_its_samples_promise(name):
    check_op(*TARGETS[name])


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutant_of_a_backward_survives(name):
    assert [mutant.change for mutant in mutants(*TARGETS[name]) if survives(mutant, *TARGETS[name])] == []


def print_table():
    kinds, rows = [], {}
    for name, target in TARGETS.items():
        for mutant in mutants(*target):
            died, total = rows.setdefault(name, {}).get(mutant.kind, (0, 0))
            rows[name][mutant.kind] = died + (not survives(mutant, *target)), total + 1
            kinds += [mutant.kind] if mutant.kind not in kinds else []
    print("| op | " + " | ".join(kinds) + " |\n" + "|---" * (len(kinds) + 1) + "|")
    for name, counts in rows.items():
        cells = ["{}/{}".format(*counts[kind]) if kind in counts else "" for kind in kinds]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    print_table()
