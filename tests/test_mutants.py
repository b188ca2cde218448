"""Every registered op's backward is broken in every way below, and check_op must see each of them.

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

from tinyhpe.fast.cuda import kernels
from tinyhpe.gradcheck import all_ops, check_op
from tinyhpe.tensor import Op

OPS = all_ops()


class Mutant(NamedTuple):
    """One change: `owner.name` is to be replaced by `code`."""

    kind: str
    change: str
    owner: object  # a class or a module
    name: str
    code: object


def whole_gradient_mutants(op_class):
    """Changes of all gradients at once."""
    backward = op_class.backward

    def zero(op, xp, g):
        return tuple(None if d is None else d * 0 for d in backward(op, xp, g))

    for kind, code in {
        "ignores g": lambda op, xp, g: backward(op, xp, xp.ones_like(g)),
        "zero": zero,
        "sign": lambda op, xp, g: backward(op, xp, -g),
        "double": lambda op, xp, g: backward(op, xp, 2 * g),
    }.items():
        yield Mutant(kind, kind, op_class, "backward", code)


def one_gradient_mutants(op_class):
    """Changes of one input's gradient, or of two."""
    backward = op_class.backward
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
            yield Mutant(kind, f"{kind}: {number}", op_class, "backward", with_changed(number, change))
    for i, j in itertools.combinations(range(inputs), 2):
        yield Mutant("swaps two inputs", f"swaps {i} and {j}", op_class, "backward", swapped(i, j))


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


def unbroadcast_mutants(op_class):
    """The sum over the axes that were broadcast is forgotten, or its first term is taken for it."""

    def first_term(g, shape):
        return g[(0,) * (g.ndim - len(shape))][tuple(slice(0, length) for length in shape)]

    for owner, name, _ in functions_behind(op_class, "backward"):
        if name == "unbroadcast":
            yield Mutant("no un-broadcast", "leaves g as it is", owner, name, lambda g, shape: g)
            yield Mutant("no un-broadcast", "takes the first term", owner, name, first_term)


def functions_behind(op_class, method):
    """List (owner, name, function) of a method and of all in this package that it calls."""
    found, waiting = {}, [(op_class, method)]
    while waiting:
        owner, name = waiting.pop()
        function = vars(owner)[name]
        if (owner, name) in found or not inspect.isfunction(function) or "tinyhpe.ops" not in function.__module__:
            continue
        found[owner, name] = function
        module = sys.modules[function.__module__]
        helpers = [
            value for value in vars(module).values() if inspect.isclass(value) and not issubclass(value, Op)
        ]
        places = (op_class, module, *helpers, *imported_ops(module))
        for called in names_in(function.__code__):
            waiting += [(place, called) for place in places if called in vars(place)]
    return [(owner, name, function) for (owner, name), function in found.items()]


def imported_ops(module):
    """The modules of tinyhpe.ops that a module of it imports whole, without those that only a GPU needs."""
    modules = [value for value in vars(module).values() if inspect.ismodule(value) and value is not kernels]
    return [value for value in modules if value.__name__.startswith("tinyhpe.ops.")]


def names_in(code):
    """All names that a function uses, those in its inner functions and comprehensions too."""
    inner = [names_in(constant) for constant in code.co_consts if inspect.iscode(constant)]
    return set(code.co_names).union(*inner)


def dropped_term_mutants(op_class):
    """Each a + b and a - b in the source of backward keeps one side; each x += y and x -= y is dropped.

    So it is in what backward calls, but not in what forward calls as well.
    """
    shared = {function for _, _, function in functions_behind(op_class, "forward")}
    for owner, name, function in functions_behind(op_class, "backward"):
        if function not in shared:
            for change, code in dropped_terms(function):
                yield Mutant("drops one term", f"{name}: {change}", owner, name, code)


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


def mutants(op_class):
    for generate in whole_gradient_mutants, one_gradient_mutants, unbroadcast_mutants, dropped_term_mutants:
        yield from generate(op_class)


def check_whole_and_in_chunks(op_class):
    """check_op, in chunks as large as in training, then in the smallest: else small samples are never cut.

    (Winograd's convolution then takes samples that are else too small for it.)
    """
    check_op(op_class)
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules[op_class.__module__]
        sizes = [
            (owner, name)
            for owner in (module, *imported_ops(module))
            for name, value in vars(owner).items()
            if name.isupper() and isinstance(value, int)
        ]
        for owner, name in sizes:
            patch.setattr(owner, name, 1)
        if sizes:
            check_op(op_class)


def survives(mutant, op_class):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mutant.owner, mutant.name, mutant.code)
        try:
            check_whole_and_in_chunks(op_class)
        except Exception:  # whatever stops it: a report, or a shape that does not fit
            return False
    return True


@pytest.mark.parametrize("name", OPS)
def test_an_op_passes_every_check_that_its_samples_promise(name):
    check_whole_and_in_chunks(OPS[name])


@pytest.mark.parametrize("name", OPS)
def test_no_mutant_of_a_backward_survives(name):
    assert [mutant.change for mutant in mutants(OPS[name]) if survives(mutant, OPS[name])] == []


def print_table():
    kinds, rows = [], {}
    for name, op_class in OPS.items():
        for mutant in mutants(op_class):
            died, total = rows.setdefault(name, {}).get(mutant.kind, (0, 0))
            rows[name][mutant.kind] = died + (not survives(mutant, op_class)), total + 1
            kinds += [mutant.kind] if mutant.kind not in kinds else []
    print("| op | " + " | ".join(kinds) + " |\n" + "|---" * (len(kinds) + 1) + "|")
    for name, counts in rows.items():
        cells = ["{}/{}".format(*counts[kind]) if kind in counts else "" for kind in kinds]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    print_table()
