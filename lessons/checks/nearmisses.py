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

SECONDS = 5  # of searching, at most
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
    """Return a Wrong that names the one thing in which an answer differs from the solution, or None."""
    source = sources.solution_of(number)
    if "while " in source or "__global__" in source:  # a change could make it endless; a kernel is a text
        return None
    tree, inputs = ast.parse(source), judging.case.inputs
    right = define(tree, namespace)
    for look in (functools.partial(outcome, inputs), functools.partial(symptom, judge)):
        seen = look(answer)
        if seen is not None and not agree(seen, look(right)):
            break
    else:
        return None
    end = time.process_time() + SECONDS
    for words in variants(tree):
        if time.process_time() > end:
            return None
        with contextlib.suppress(Exception):  # many a change makes no sense
            if agree(seen, look(define(tree, namespace))):
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


@contextlib.contextmanager
def quietly():
    """No warnings, no prints, and the same random numbers each time."""
    generator = np.random.default_rng
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        patch("numpy.random.default_rng", lambda seed=0: generator(seed)),
        patch.object(judging, "explain_values", lambda *_: None),  # the numbers are enough
    ):
        warnings.simplefilter("ignore")
        yield


def outcome(inputs, function):
    """("", what a function makes of inputs, as a list of arrays), or None: the quick way to look."""
    if isinstance(function, type) or not inputs:
        return None
    with contextlib.suppress(Exception), quietly():
        return enough("", function(*judging.copied(inputs)))


def symptom(judge, answer):
    """What a judge says of an answer, without its numbers, and the array that it is about: for classes, too."""
    with quietly():
        try:
            judge(answer)
        except judging.Wrong as wrong:
            return enough(re.sub(r"[-+\d.e]+", "0", wrong.what), judging.case.got)
    return None


def enough(words, result):
    """(words, a list of arrays), or None if there are no numbers, or too few to compare."""
    parts = list(result.values()) if isinstance(result, dict) else result
    parts = [np.asarray(part) for part in (parts if isinstance(parts, (tuple, list)) else [parts])]
    if any(part.dtype.kind not in "biuf" for part in parts):
        return None
    told = any(len(set(part[np.isfinite(part)].flat)) > 1 or part.ndim == 0 != part % 1 for part in parts)
    return (words, parts) if told else None


def agree(seen, other):
    """Whether two looks are the same, but for rounding."""
    if other is None or seen[0] != other[0] or [a.shape for a in seen[1]] != [a.shape for a in other[1]]:
        return False
    for mine, theirs in zip(seen[1], other[1], strict=True):
        size = np.abs(mine[np.isfinite(mine)].astype(float)).max(initial=0)
        if not np.allclose(mine, theirs, 1e-5, 1e-6 * size, equal_nan=True):
            return False
    return True


def variants(tree):
    """Change a tree in place, yield what is changed, in words, and put it back: one place, then all of a kind."""
    places, found = dict(places_of(tree)), {}
    arguments = {
        a.arg: d for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) for a, d in with_defaults(n.args)
    }
    arguments = {name: default for name, default in arguments.items() if name not in ("self", "xp")}
    kept = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
    arguments |= {ast.unparse(n): None for n in kept if ast.unparse(n).startswith("self.")}
    of_its_own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    mixed_up = functools.partial(changes_of_own_names, own=sorted(of_its_own))
    for kind in (changes, changes_of_names, mixed_up, additions, around_parts):
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
    if isinstance(node.func, ast.Attribute) and isinstance(product := node.func.value, ast.BinOp):
        for inside, outside in ((product.left, product.right), (product.right, product.left)):
            inner = ast.Call(ast.Attribute(inside, name, ast.Load()), node.args, node.keywords)
            words = f"something stands outside of {name} that belongs inside"
            yield words, ast.BinOp(inner, product.op, outside)
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
    if name in ("range", "ndindex"):
        yield "a loop begins too late, or leaves out a turn", expression(f"list({ast.unparse(node)})[1:]")
        yield "a loop ends too early", expression(f"list({ast.unparse(node)})[:-1]")
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
    """Yield what becomes of an input: another input, its default, its square, its mean, minus it."""
    if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
        return
    if (name := ast.unparse(node)) not in arguments:
        return
    if arguments[name] is not None:
        yield f"{called(name)} plays no part: a fixed number stands in its place", arguments[name]
    for other in arguments:
        if other != name:
            yield f"{called(other)} stands where {called(name)} belongs", expression(other)
    for text, words in (
        ("-{}", "has the wrong sign"),
        ("{} ** 2", "is squared"),
        ("{} ** 0.5", "went through a root"),
        ("(1 - {})", "was taken from 1"),
        ("({} + 1)", "is one too large"),
        ("({} - 1)", "is one too small"),
        ("{}.mean()", "was averaged"),
        ("{}.sum()", "was summed up"),
        ("np.abs({})", "lost its sign"),
        ("np.log({})", "went through a logarithm"),
        ("np.exp({})", "went through an exponential"),
        ("np.deg2rad({})", "is in another unit of angles"),
        ("np.rad2deg({})", "is in another unit of angles"),
    ):
        yield f"{called(name)} {words}", expression(text.format(name))


def changes_of_own_names(node, arguments, own):
    """Yield what becomes of a name that the function has made itself, such as the index of a loop."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in own:
        for other in own:
            if other != node.id:
                words = "an index, or something worked out before, stands where another belongs"
                yield words, ast.Name(other, ast.Load())
        yield "an index, or something worked out before, plays no part", ast.Constant(0)


def called(name):
    """What to say for an input; what a class keeps has a name that the student need not know."""
    return "something that was kept" if "." in name else f"`{name}`"


def expression(text):
    return ast.parse(text).body[0].value


def additions(node, arguments):
    """Yield results into which an input comes once too often."""
    if not isinstance(node, (ast.Return, ast.Assign)) or not node.value:
        return
    values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    made = [value for value in values if not isinstance(value, ast.Name)]
    for value, name, op in itertools.product(made, arguments, (ast.Mult, ast.Div, ast.Add, ast.Sub)):
        more = ast.BinOp(value, op(), expression(name))
        changed = copy.copy(node)
        changed.value = (
            ast.Tuple([more if v is value else v for v in values], ast.Load()) if len(values) > 1 else more
        )
        yield f"{called(name)} comes in once too often", changed


def around_parts(node, arguments):
    """Yield a part of a formula with something round it that does not belong there."""
    if isinstance(node, (ast.BinOp, ast.Call)):
        for name, words in (
            ("sqrt", "a root is taken"),
            ("square", "something is squared"),
            ("abs", "an absolute value is taken"),
            ("round", "something is rounded"),
            ("log", "a logarithm is taken"),
        ):
            yield f"{words} that should not be", ast.Call(expression(f"np.{name}"), [node], [])
        for factor in (0.5, 2, -1):
            yield (
                "a part counts half, twice or with the wrong sign",
                ast.BinOp(node, ast.Mult(), ast.Constant(factor)),
            )
        for extra in (1, -1):
            yield "1 too much is added or subtracted", ast.BinOp(node, ast.Add(), ast.Constant(extra))


def exchanged(things, a, b):
    things = list(things)
    things[a], things[b] = things[b], things[a]
    return things
