"""The solution with one thing wrong: a wrong answer that no check knows is compared with hundreds of these.

Each changes one place of the solution (a sign, an axis, a missing term, mean for sum ...), or all places of one
kind. If the judge sees the same numbers of it as of the student's answer, the student has made that mistake.
"""

import ast
import contextlib
import copy
import functools
import io
import itertools
import re
import time
import warnings
from unittest.mock import patch

import numpy as np

from checks import judging, sources

SECONDS = 5  # of searching
FAMILIES = [  # one of these is easily taken for another
    {"sum", "mean", "median", "max"},
    {"max", "min"},
    {"maximum", "minimum"},
    {"floor", "ceil", "round", "rint", "trunc"},
    {"log", "log2", "log10", "log1p"},
    {"exp", "expm1", "exp2"},
    {"sin", "cos", "tan"},
    {"arcsin", "arccos", "arctan"},
    {"deg2rad", "rad2deg"},
    {"std", "var"},
    {"sqrt", "square", "abs"},
    {"argmax", "argmin"},
    {"zeros", "ones"},
]
OTHER = {  # the operator that is taken for it, and what that looks like
    ast.Add: (ast.Sub, "something is subtracted that should be added"),
    ast.Sub: (ast.Add, "something is added that should be subtracted"),
    ast.Mult: (ast.Div, "something is divided by that should be multiplied by"),
    ast.Div: (ast.Mult, "something is multiplied by that should be divided by"),
    ast.MatMult: (ast.Mult, "* stands where @ belongs"),
    ast.Lt: (ast.LtE, "a border counts on the wrong side: < or <="),
    ast.LtE: (ast.Lt, "a border counts on the wrong side: < or <="),
    ast.Gt: (ast.GtE, "a border counts on the wrong side: > or >="),
    ast.GtE: (ast.Gt, "a border counts on the wrong side: > or >="),
    ast.Eq: (ast.NotEq, "== or != is the other way round"),
}


def explain(number, wrong, judge, answer, namespace):
    """Return a Wrong that says more, for an answer that does what the solution with one thing changed does; or None."""
    source = sources.solution_of(number)
    if "while " in source or "__global__" in source:  # a change could make it endless; a kernel is a text
        return None
    seen, end = symptom(judge, answer), time.monotonic() + SECONDS
    if seen is None:
        return None
    tree = ast.parse(source)
    for words in variants(tree):
        if time.monotonic() > end:
            return None
        with contextlib.suppress(Exception):  # many a change makes no sense
            if agree(seen, symptom(judge, define(tree, namespace))):
                return judging.Wrong(
                    wrong.what,
                    f"all numbers are those of a right answer in which one thing is changed: {words}",
                    "find that place in your code, and leave the rest as it is",
                )
    return None


def define(tree, namespace):
    """What a changed solution defines last."""
    namespace = dict(namespace)
    exec(compile(tree, "<a variant of the solution>", "exec"), namespace)
    return namespace[tree.body[-1].name]


def symptom(judge, answer):
    """What a judge says of an answer, and the array that it is about; None where there is too little to compare.

    Random numbers are the same each time.
    """
    generator = np.random.default_rng
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        patch("numpy.random.default_rng", lambda seed=0: generator(seed)),
        patch.object(judging, "explain_values", lambda *_: None),  # the numbers are enough
    ):
        warnings.simplefilter("ignore")
        try:
            judge(answer)
        except judging.Wrong as wrong:
            got = np.asarray(judging.case.got)
            if got.dtype.kind in "biuf" and (len(set(got[np.isfinite(got)].flat)) > 1 or got.ndim == 0 != got % 1):
                return wrong.what, got
    return None


def agree(seen, other):
    """Whether two symptoms are the same one, but for rounding."""
    if other is None or other[1].shape != seen[1].shape:
        return False
    with_no_numbers = (re.sub(r"[-+\d.e]+", "0", what) for what, _ in (seen, other))
    size = np.abs(seen[1][np.isfinite(seen[1])].astype(float)).max()
    return len(set(with_no_numbers)) == 1 and np.allclose(seen[1], other[1], 1e-5, 1e-6 * size, equal_nan=True)


def variants(tree):
    """Change a tree in place, yield what is changed, in words, and put it back: one place, then all of a kind."""
    places, found = dict(places_of(tree)), {}
    arguments = {
        a.arg: d for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) for a, d in with_defaults(n.args)
    }
    arguments = {name: default for name, default in arguments.items() if name not in ("self", "xp")}
    for kind in (changes, changes_of_names, additions):
        for node in places:
            for words, new in kind(node, arguments):
                new = ast.fix_missing_locations(ast.copy_location(new, node))
                found.setdefault(words, []).append((places[node], node, new))
    for words, edits in found.items():
        for some in [[edit] for edit in edits] + [edits] * (len(edits) > 1):
            for put, _, new in some:
                put(new)
            yield words
            for put, old, _ in reversed(some):
                put(old)


def places_of(tree):
    """Yield (node, a function that puts another in its place) for each node of a tree."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.expr):
                yield value, functools.partial(setattr, parent, field)
            elif isinstance(value, list):
                for index, child in enumerate(value):
                    if isinstance(child, (ast.expr, ast.stmt)):
                        yield child, functools.partial(value.__setitem__, index)


def with_defaults(args):
    return itertools.zip_longest(reversed(args.args), reversed(args.defaults))


def named(node, otherwise):
    """A name that the student knows too, or what to say in its place."""
    return f"`{node.id}`" if isinstance(node, ast.Name) else otherwise


def changes(node, arguments):
    """Yield (words, the node as a typical mistake has it)."""
    if isinstance(node, ast.BinOp):
        yield from changes_of_sums_and_products(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "a minus is missing", node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        other, words = OTHER[type(node.ops[0])]
        yield words, ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
        yield "a comparison is the other way round", ast.Compare(node.comparators[0], node.ops, [node.left])
    elif isinstance(node, ast.Call):
        yield from changes_of_calls(node)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        whole = isinstance(node.value, int)
        for value in (
            (node.value - 1, node.value + 1) if whole else (node.value * f for f in (0.5, 2, 0.1, 10, 0.01, 100))
        ):
            yield (
                f"a {'whole number is off by one' if whole else 'constant has another size'}",
                ast.Constant(value),
            )
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        for a, b in itertools.combinations(range(len(node.elts)), 2):
            yield (
                "two things that stand side by side are exchanged",
                ast.Tuple(exchanged(node.elts, a, b), ast.Load()),
            )
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "a transpose is missing", node.value
    elif isinstance(node, ast.Slice):
        for part, words in (("lower", "begin"), ("upper", "end"), ("step", "step")):
            if getattr(node, part) is not None:
                yield f"a slice lacks its {words}", ast.Slice(**{**vars(node), part: None})
    elif isinstance(node, ast.IfExp):
        yield "one of two cases is forgotten", node.body
        yield "one of two cases is forgotten", node.orelse
    elif isinstance(node, ast.If):
        yield "one of two cases is forgotten", ast.If(ast.Constant(True), node.body, node.orelse)
        yield "one of two cases is forgotten", ast.If(ast.Constant(False), node.body, node.orelse)
    elif isinstance(node, ast.AugAssign):
        yield "= stands where += belongs", ast.Assign([node.target], node.value)
        yield "a step is missing", ast.Pass()
    elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], (ast.Name, ast.Tuple)):
        yield "a step is missing", ast.Pass()


def changes_of_sums_and_products(node):
    left, op, right = node.left, node.op, node.right
    kind = "a term" if isinstance(op, (ast.Add, ast.Sub)) else "a factor or a division"
    if isinstance(op, ast.Pow):
        yield "a power or a root is missing", left
        return
    if type(op) in OTHER:
        other, words = OTHER[type(op)]
        yield words, ast.BinOp(left, other(), right)
    if not isinstance(op, ast.MatMult):
        yield f"{named(right, kind)} is missing", left
        yield (
            f"{named(left, kind)} is missing",
            ast.UnaryOp(ast.USub(), right) if isinstance(op, ast.Sub) else right,
        )
    if isinstance(op, (ast.Sub, ast.Div, ast.MatMult)):
        yield "the two sides of a difference, a quotient or a product are exchanged", ast.BinOp(right, op, left)
    if isinstance(left, ast.BinOp):
        inner = ast.BinOp(left.right, op, right)
        yield "brackets stand elsewhere", ast.BinOp(left.left, left.op, inner)
    if isinstance(right, ast.BinOp):
        inner = ast.BinOp(left, op, right.left)
        yield "brackets stand elsewhere", ast.BinOp(inner, right.op, right.right)
    if isinstance(right, ast.Call) and isinstance(right.func, ast.Attribute):
        name, whole = right.func.attr, ast.BinOp(left, op, right.func.value)
        moved = ast.Call(ast.Attribute(whole, name, ast.Load()), right.args, right.keywords)
        yield f"something stands inside of {name} that belongs outside", moved


def changes_of_calls(node):
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for other in sorted(set().union(*(family for family in FAMILIES if name in family)) - {name}):
        function = copy.deepcopy(node.func)
        setattr(function, "attr" if isinstance(function, ast.Attribute) else "id", other)
        yield f"{other} stands where {name} belongs", ast.Call(function, node.args, node.keywords)
    if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
        yield f"{name} is missing", node.func.value
    elif node.args:
        yield f"{name} is missing", node.args[0]
        yield f"{name} is missing", node.args[-1]
    for a, b in itertools.combinations(range(len(node.args)), 2):
        yield (
            f"two of the things that {name} is given are exchanged",
            ast.Call(node.func, exchanged(node.args, a, b), node.keywords),
        )
    rest = [keyword for keyword in node.keywords if keyword.arg not in ("axis", "keepdims")]
    if len(rest) < len(node.keywords):
        yield "no axis is given, so it runs over all of them", ast.Call(node.func, node.args, rest)
        for axis in (0, 1, 2, -1):
            keywords = [ast.keyword("axis", ast.Constant(axis)), ast.keyword("keepdims", ast.Constant(True))]
            yield "it runs over another axis", ast.Call(node.func, node.args, rest + keywords)
            yield "it runs over another axis", ast.Call(node.func, node.args, rest + keywords[:1])
    for keyword in rest:
        others = [other for other in node.keywords if other is not keyword]
        yield f"{keyword.arg} is not given", ast.Call(node.func, node.args, others)
    if name == "len":
        for count in ("size", "shape[-1]", "shape[1]"):
            yield (
                "another number of things is counted",
                ast.parse(f"({ast.unparse(node.args[0])}).{count}").body[0].value,
            )
    if name in ("mean", "std", "var", "sum"):
        yield "ddof=1: it divides by one less", ast.Call(node.func, node.args, [*rest_of(node, "ddof"), ddof()])


def rest_of(node, left_out):
    return [keyword for keyword in node.keywords if keyword.arg != left_out]


def ddof():
    return ast.keyword("ddof", ast.Constant(1))


def changes_of_names(node, arguments):
    """Yield what becomes of an input's name: another input, its default, its square, its root, minus it."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or node.id not in arguments:
        return
    if arguments[node.id] is not None:
        yield f"`{node.id}` plays no part: a fixed number stands in its place", arguments[node.id]
    for other in arguments:
        if other != node.id:
            yield f"`{other}` stands where `{node.id}` belongs", ast.Name(other, ast.Load())
    yield f"`{node.id}` has the wrong sign", ast.UnaryOp(ast.USub(), node)
    yield f"`{node.id}` is squared", ast.BinOp(node, ast.Pow(), ast.Constant(2))
    yield f"a root of `{node.id}` is taken", ast.BinOp(node, ast.Pow(), ast.Constant(0.5))
    yield f"1 is added to `{node.id}`", ast.BinOp(node, ast.Add(), ast.Constant(1))
    yield f"1 is taken off `{node.id}`", ast.BinOp(node, ast.Sub(), ast.Constant(1))


def additions(node, arguments):
    """Yield results into which an input comes once too often."""
    if not isinstance(node, (ast.Return, ast.Assign)) or not node.value:
        return
    values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    values_made = [value for value in values if not isinstance(value, ast.Name)]
    for value, name, op in itertools.product(values_made, arguments, (ast.Mult, ast.Div, ast.Add, ast.Sub)):
        more = ast.BinOp(value, op(), ast.Name(name, ast.Load()))
        new = ast.Tuple([more if v is value else v for v in values], ast.Load()) if len(values) > 1 else more
        changed = copy.copy(node)
        changed.value = new
        yield f"`{name}` comes in once too often", changed


def exchanged(things, a, b):
    things = list(things)
    things[a], things[b] = things[b], things[a]
    return things
