"""The judges of lesson 2: relu as a closure, sorting without recursion, tanh and a matrix product as classes, and
one step downhill."""

import sys

import numpy as np

from checks.judging import Wrong, call, case, compare, explain, refuse_borrowed
from tinyhpe import Tensor

START, INCOMING = 5.0, 0.3  # what another use of `a` has pushed already; what comes in


NUMBER = "`a` is a Value; the number that it holds is a.data", "which of the two can be compared with 0?"


def pushes_too_early():
    raise Wrong(
        "the push of out calls the push of `a`",
        "backward() calls every push once, in the right order; section 4 shows what happens otherwise",
        "push hands the gradient on to its inputs, and no further",
    )


def relu(answer):
    Value = answer.__globals__["Value"]  # the notebook's own, so that its operators work
    added = {}
    for data in (2.5, -3.5):
        a = Value(data, name="a")
        a.grad, a.push = START, pushes_too_early
        out = call(answer, a, errors=[("between instances", *NUMBER), ("unsupported operand", *NUMBER)])
        if not isinstance(out, Value):
            raise Wrong(
                f"relu returns a {type(out).__name__}; it should return a Value",
                "the result has to carry on the graph, and a plain number cannot",
                "how does __mul__ make what it returns?",
            )
        if out is a or a.data != data:
            raise Wrong(
                f"for a = {data:g} "
                + ("relu returns `a` itself" if out is a else f"a.data has become {a.data:g}"),
                "the output is a value of its own, with a gradient of its own; and `a` is still needed as it was",
                "how does __mul__ make what it returns?",
            )
        if not isinstance(out.inputs, (tuple, list)) or [value is a for value in out.inputs].count(True) != 1:
            judge_inputs(out.inputs, Value)
        judge_value(out.data, data)
        added[data] = push(out, a)
    judge_gradients(*added.values())
    return "It bends, it adds to what is there, and it multiplies by what comes in."


def push(out, a):
    """Push once, and return what became of a.grad, with START taken off."""
    if out.grad != 0:
        raise Wrong(
            f"out.grad is {out.grad} before anything was pushed; it should be 0",
            "the gradient of out comes later, from what out goes into; whoever sets it adds something untrue",
            "leave out.grad alone when you make out",
        )
    if not callable(out.push):
        raise Wrong(
            "out.push is not a function",
            "out.push = push() calls it at once, before there is a gradient, and stores the None it returns",
            "what is the difference between a function and a call of it?",
        )
    out.grad = INCOMING
    try:
        out.push()
    except Wrong:
        raise
    except Exception as error:
        raise explain(
            error, [("argument", "push is called without arguments", "what does backward() call?")]
        ) from error
    if out.grad != INCOMING:
        raise Wrong(
            f"out.grad was {INCOMING} and is {out.grad:g} after push",
            "push wrote into out.grad, but gradients flow from out to a",
            "which of the two is given, and which one is to be changed?",
        )
    return round(a.grad - START, 9)


def judge_gradients(positive, negative):
    """Explain wrong gradients: what push added to a.grad for a = 2.5 and for a = -3.5."""
    case.got, case.expected = (positive, negative), (INCOMING, 0.0)
    if case.got == case.expected:
        return
    what = (
        f"out.grad is {INCOMING}, and a.grad was {START:g} already. push added {positive:g} for a = 2.5 "
        f"and {negative:g} for a = -3.5; it should add {INCOMING:g} and 0"
    )
    chain = "the chain rule: (what comes in) * (local derivative), added to what is there"
    lost = round(INCOMING - START, 9)
    value = (
        "it multiplies by a value; the local derivative is the slope",
        "what is the slope of relu for a = 2.5, and for a = -3.5?",
    )
    mistakes = {
        (lost, -START): (
            "what was there is gone: it overwrites what another use of `a` has pushed, as in section 3",
            "what does section 3 say about a value that is used twice?",
        ),
        (1.0, 0.0): ("the local derivative alone was added; the gradient that comes in plays no part", chain),
        (2.5 * INCOMING, -3.5 * INCOMING): value,
        (2.5 * INCOMING, 0.0): value,
        (INCOMING, INCOMING): (
            "a gradient passed where relu is flat; for a negative number the slope is 0",
            chain,
        ),
        (-INCOMING, 0.0): ("it was subtracted", chain),
        (0.0, INCOMING): ("it passes where a is negative, and is stopped where a is positive", "draw relu"),
        (0.0, 0.0): (
            "push is not attached to out; or out.grad was read before push was called, when it was still 0; "
            "or a local "
            "name was changed, or a number returned, in place of a.grad",
            "a closure reads out.grad when it runs. How does __mul__ attach its push, and what does it change?",
        ),
    }
    mistakes[0.0, -START] = mistakes[INCOMING, -START] = mistakes[lost, lost] = mistakes[lost, -START]
    multiplied = round(START * INCOMING - START, 9)
    mistakes[multiplied, -START] = ("a.grad is multiplied; gradients of several uses are added up", chain)
    known = mistakes.get((positive, negative))
    if known is None and positive == INCOMING:
        known = (
            "for a negative number the output is flat, so nothing must be added, and nothing taken away",
            chain,
        )
    raise Wrong(what, *(known or ("the local derivative is neither 1 nor 0", chain)))


def judge_inputs(inputs, Value):
    """Explain what is wrong with out.inputs."""
    what = f"out.inputs is {inputs!r}; it should be a tuple that holds `a` once, and nothing else"
    if isinstance(inputs, Value):
        raise Wrong(what, "(a) is only a in brackets; it is the comma that makes a tuple", "look at (self, other)")
    if len(inputs) == 0:
        raise Wrong(what, "the sort finds `a` only through out.inputs", "what does Value(...) take as second?")
    raise Wrong(what, "relu has one input", "which values went in?")


def judge_value(got, data):
    """Explain a wrong value of relu."""
    right = max(data, 0.0)
    case.got, case.expected = got, right
    if got == right:
        return
    mistakes = {
        abs(data): ("this is the absolute value", "where a is negative, relu is 0"),
        min(data, 0.0): ("this is the smaller of a and 0", "the larger one is wanted"),
        float(data > 0): ("a comparison is True or False, that is 1 or 0", "where a is positive, relu is a"),
        data: ("a came through where it is negative", "where a is negative, relu is 0"),
    }
    why = mistakes.get(float(got), ("the value is wrong, whatever push does", "the larger of a.data and 0"))
    raise Wrong(f"for a = {data:g} out.data is {got!r}; it should be {right:g}", *why)


class Watched:
    """A value for sorting that counts how often anybody asks for inputs, and how deep the calls are by then."""

    looks, limit, depth, compared = 0, 20_000, 0, False
    grad, name = 0.0, "a value"

    def __init__(self, *inputs):
        self.known = inputs

    def __repr__(self):
        return f"<a value with {len(self.known)} inputs>"

    @property
    def data(self):
        Watched.compared = True
        return 1.5

    @property
    def inputs(self):
        Watched.looks += 1
        if Watched.looks > Watched.limit:
            raise Wrong(
                f"{Watched.limit:,} looks at inputs, for a graph of a few dozen values; there it was stopped",
                "a value that is reached by several paths is visited again by each of them, so the work "
                "doubles at every level of a diamond; or the loop never ends",
                "which values must be skipped? And does every turn of the loop take something off the stack?",
            )
        if depth_of_calls() > Watched.depth + 40:
            raise Wrong(
                "functions have called themselves more than 40 levels deep",
                "the function still calls itself (or one inside it does) once for each level of the graph; "
                "a higher "
                "limit only puts the end off",
                "what is still to be done goes on a list of your own, and a loop takes it off",
            )
        return self.known


def depth_of_calls():
    """How many calls are going on."""
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:
        depth += 1
    return depth


def order_without_recursion(answer):
    refuse_borrowed(answer, "order_by_recursion", "backward_order")
    leaf = Watched()
    x = Watched(Watched())
    inner = Watched(x, Watched())
    diamond = [Watched()]
    for _ in range(30):
        diamond.append(Watched(diamond[-1], diamond[-1]))
    chain = [Watched()]
    for _ in range(300):
        chain.append(Watched(chain[-1]))
    judge_order(answer, "a value that nothing went into", Watched(), 1)
    judge_order(answer, "x + x", Watched(leaf, leaf), 2)
    judge_order(answer, "f(g(x)) + x", Watched(Watched(inner), x), 6)
    judge_order(answer, "x + f(g(x))", Watched(x, Watched(inner)), 6)
    judge_order(answer, "a diamond with 30 levels", diamond[-1], 31)
    judge_order(answer, "a chain of 300 operations", chain[-1], 301)
    return "Chains of any length, and each value once. This is the library's way, too."


def judge_order(answer, title, output, count):
    """Explain a wrong order of the `count` values behind `output`."""
    Watched.looks, Watched.limit, Watched.depth, Watched.compared = 0, 200 * count, depth_of_calls(), False
    order = call(answer, output)
    Watched.limit = 10**9
    case.got = order
    if not isinstance(order, (list, tuple)):
        raise Wrong(
            f"for {title}: it returns a {type(order).__name__}",
            "the order is the result, and only a list keeps one",
            "what do you collect the finished values in?",
        )
    if not all(isinstance(value, Watched) for value in order):
        odd = next(value for value in order if not isinstance(value, Watched))
        raise Wrong(
            f"for {title}: the list holds {odd!r}",
            "the values themselves are wanted, not pairs or names",
            "what exactly do you append?",
        )
    if len(order) > len(set(map(id, order))):
        raise Wrong(
            f"for {title}: {len(order)} entries, but only {len(set(map(id, order)))} different values",
            "a value that was reached twice was written down twice, so it would push twice",
            "how can the loop know that it has looked at a value before?",
        )
    if len(order) != count:
        what = f"for {title}: {len(order)} values; there are {count}"
        if Watched.compared:
            raise Wrong(
                what,
                "values that hold equal numbers were taken for one and the same",
                "every value is a thing of its own, whatever number it holds: remember the value itself",
            )
        if count == 1:
            raise Wrong(
                what,
                "a value without inputs is not written down, or the output itself is not in the list",
                "every value is written down, leaves and the output, too",
            )
        if output not in order:
            raise Wrong(what, "the output itself is not in the list", "the output pushes, too: it is the first to")
        if len(order) == 1 or not any(value.known for value in order[:-1]):
            why = "the loop ended, or the function returned, too early; or not all inputs were put on the stack"
            raise Wrong(what, why, "where does your `return` stand: in the loop or behind it?")
        raise Wrong(what, "some were never reached, or never written down", "leaves are values, too")
    position = {id(value): place for place, value in enumerate(order)}
    wrong = sum(position[id(s)] > position[id(v)] for v in order for s in v.known)
    if wrong:
        judge_places(title, order, position, wrong)


def judge_places(title, order, position, wrong):
    """Explain the order of a complete list in which a value stands before an input."""
    what = f"for {title}: {wrong} times a value stands before one of its inputs"
    if all(position[id(s)] > position[id(v)] for v in order for s in v.known):
        raise Wrong(
            f"for {title}: every value stands before its inputs",
            "the order is the wrong way round; backward() reverses the list itself",
            "what is written down first: a value, or what went into it?",
        )
    if title == "x + f(g(x))":
        raise Wrong(
            what,
            "x was marked as seen when it was put on the stack, by the short path; so the long path, which "
            "needs it "
            "earlier, found it marked and went on without it",
            "when has a value been seen: when it is put on the stack, or when it is taken off for the first time?",
        )
    raise Wrong(
        what,
        "the value was written down at the first look. In f(g(x)) + x the first look at x comes from the "
        "short path, while g, which needs x too, is still to come",
        "what has to be done between the first look and the writing down? The pair says which look it is",
    )


KEPT = "forward kept nothing under this name where backward can find it", "what survives the end of forward()?"


def tanh(answer):
    rng = np.random.default_rng()  # other numbers each time: nothing can be learned by heart
    for dtype in (np.float64, np.float32):
        x, other, g = (rng.choice([-1, 1], 6) * rng.uniform(0.3, 2, (3, 6))).reshape(3, 2, 3).astype(dtype)
        tolerance = 20 * np.finfo(dtype).eps
        op, second = call(answer), call(answer)
        scalars = "math.tanh takes one number, this is an array", "NumPy has a tanh for arrays"
        y = call(op.forward, x, errors=[("scalar", *scalars)])
        given = f"For x of shape (2, 3) in {np.dtype(dtype).name},"
        others = [
            (np.sin(x), "this is sin", "the name is tanh", "np.tanh"),
            (np.tan(x), "this is tan", "the name is tanh", "np.tanh"),
            (np.arctan(x), "this is arctan", "the name is tanh", "np.tanh"),
            (1 / (1 + np.exp(-x)), "this is the sigmoid", "it squeezes into 0..1, not -1..1", "np.tanh"),
        ]
        compare(f"{given} forward:", y, np.tanh(x), others, tolerance, "np.tanh(x) is all that is needed", 1e-6)
        before = y.copy()
        call(second.forward, other)
        shares = call(op.backward, g, errors=[("AttributeError", *KEPT), ("NameError", *KEPT)])
        judge_tuple(shares, 1)
        if not np.array_equal(y, before):
            raise Wrong(
                f"{given} what forward returned is another array after backward",
                "backward works in place on what it kept, and that is the result itself, which others still read",
                "make a new array: y * y does, y *= y does not",
            )
        compare(
            f"{given} backward:",
            shares[0],
            g * (1 - np.tanh(x) ** 2),
            tanh_mistakes(x, other, g),
            tolerance,
            rough=1e-5,
        )
    return "Forward and backward, side by side, tested without any graph."


def judge_tuple(shares, count):
    """Explain what backward returns if it is not a tuple of `count` arrays."""
    if not isinstance(shares, tuple):
        raise Wrong(
            f"backward returns a {type(shares).__name__}; it should return a tuple with {count} in it",
            "an operation returns one gradient for each input; a single one needs a comma, since (a) is only a",
            "(a,) is a tuple of one, and a, b one of two",
        )
    if len(shares) != count:
        raise Wrong(
            f"backward returns {len(shares)} gradients; it should return {count}",
            "there is one gradient for each input of forward, no more and no fewer",
            "count the inputs of forward",
        )


def tanh_mistakes(x, other, g):
    """What typical mistakes make of the gradient."""
    y = np.tanh(x)
    chain = "chain rule: (what comes in) * (local derivative)"
    kept = "the formula needs the result y of forward, and nothing else"
    return [
        (1 - y * y, "the local derivative alone: g does not matter", "the incoming gradient is lost", chain),
        (g * (1 - x * x), "g * (1 - x * x)", kept, "which of x and y is in the text?"),
        (
            1 - g * g,
            "1 - g * g",
            "g is the gradient that comes in, not the result",
            "which letter is y in your code?",
        ),
        (g * (1 - g * g), "g * (1 - g * g)", "g is the gradient that comes in, not the result", "which is y?"),
        (y, "y itself", "y is the value, not the slope, and g plays no part", "the text above states the slope"),
        (
            g * (1 - 2 * y),
            "g * (1 - 2 * y)",
            "the square of y is y * y, not 2 * y",
            "the text above states the slope",
        ),
        (-2 * g * y, "-2 * g * y", "1 - y * y was differentiated once more; it is the slope already", chain),
        (g / (1 - y * y), "g / (1 - y * y)", "it was divided; the chain rule multiplies", chain),
        (x * (1 - y * y), "x * (1 - y * y)", "the input is in place of the gradient that comes in", chain),
        (g / np.cosh(y) ** 2, "g / cosh(y) ** 2", "y is tanh(x) already; the formula has x there", kept),
        (g * np.cosh(y) ** 2, "g * cosh(y) ** 2", "y is tanh(x) already; and the slope is never above 1", kept),
        (g * y, "g * y", "y is the value, not the slope", "the text above states the slope"),
        (g * (1 - y), "g * (1 - y)", "the square is missing", "the text above states the slope"),
        (g * (1 + y * y), "g * (1 + y * y)", "the sign of the square is wrong", "the text above states the slope"),
        (
            g * y * (1 - y),
            "g * y * (1 - y)",
            "this is the slope of the sigmoid",
            "the text above states the slope",
        ),
        (
            g * (1 - np.tanh(y) ** 2),
            "g * (1 - tanh(y) ** 2)",
            "tanh was applied twice: y is tanh(x) already",
            kept,
        ),
        (g + (1 - y * y), "g + (1 - y * y)", "it was added; the chain rule multiplies", chain),
        ((g * (1 - y * y)).sum(), "the sum over all elements", "each element has its own gradient", "no sum"),
        (
            g * (1 - np.tanh(other) ** 2),
            "the gradient at the numbers of ANOTHER Tanh",
            "y is kept where both objects share it, on the class or in a global",
            "where does each object keep its own things?",
        ),
    ]


STEP_ERRORS = [
    (
        "'NoneType'",
        "the gradient was cleared before it was used, or was never there",
        "what is the last thing to do?",
    ),
    (
        "NumPy would lose",
        "a parameter is a Tensor; its array is its .data, and its gradient its .grad",
        "which one?",
    ),
    (
        "could not be broadcast",
        "each parameter has a velocity of its own shape; two were mixed up",
        "velocities[i]",
    ),
]


def momentum_step(answer):
    for dtype in (np.float32, np.float64):
        judge_momentum(answer, dtype)
    return "You have written an optimizer. tinyhpe/optim.py has a faster one, and Adam."


def judge_momentum(answer, dtype):
    """Two steps of two parameters of one dtype, by numbers without coincidences."""
    rate, momentum = 0.03, 0.7
    start = [np.array([1.7, 2.3], dtype), np.array([[3.1, -0.9, 1.3]], dtype)]
    gradients = [
        [np.array([11, -23], dtype), np.array([[5, 7, -13]], dtype)],
        [np.array([3, 8], dtype), np.array([[-2, 17, 19]], dtype)],
    ]
    tensors = [Tensor(array.copy(), requires_grad=True) for array in start]
    moving = [np.array([-7, 4], dtype), np.array([[9, -6, 2]], dtype)]
    parameters, velocities = list(tensors), [array.copy() for array in moving]
    expected, speed = [array.copy() for array in start], moving
    for number, step in enumerate(gradients, 1):
        before = [tensor.data.copy() for tensor in tensors]
        for tensor, gradient in zip(tensors, step, strict=True):
            tensor.grad = gradient.copy()
        returned = call(answer, parameters, velocities, rate, momentum, changes=True, errors=STEP_ERRORS)
        judge_lists(parameters, velocities, tensors)
        if all(np.array_equal(tensor.data, old) for tensor, old in zip(tensors, before, strict=True)):
            if returned is not None:
                raise Wrong(
                    f"step {number}: the parameters have not changed, and something is returned",
                    "new values are returned, and the ones that the caller has stay as they are",
                    "the loop calls your function and takes nothing back: store into .data",
                )
            raise Wrong(
                f"step {number}: the parameters have not changed",
                "the function is empty, or it gives a new meaning to a local name, as `p = p - ...` does",
                "what has to change is the .data of each tensor, after its velocity",
            )
        for i, gradient in enumerate(step):
            old = speed[i]
            speed[i] = dtype(momentum) * old + gradient
            expected[i] = expected[i] - dtype(rate) * speed[i]
            given = f"Step {number}, parameter {i}, {np.dtype(dtype).name}:"
            mistakes = step_mistakes(before[i], old, gradient, rate, momentum)
            compare(given, tensors[i].data, expected[i], mistakes, 1e-6, "compute one parameter by hand")
            judge_velocity(given, velocities[i], speed[i], old, rate)
        if any(tensor.grad is not None for tensor in tensors):
            raise Wrong(
                "the step is right, but .grad is not None afterwards",
                "backward() ADDS to .grad, so it has to be cleared after the step; None says that there is no "
                "gradient, while zeros would say that there is one",
                "what does the training loop of section 8 do last?",
            )


def judge_lists(parameters, velocities, tensors):
    """Explain lists whose elements were replaced by other things."""
    if any(mine is not given for mine, given in zip(parameters, tensors, strict=True)):
        raise Wrong(
            "the list `parameters` holds other tensors than before",
            "parameters[i] = ... puts a new tensor into the list; the network's own weight never moves",
            "keep the tensor, and change its .data",
        )
    if len(velocities) != len(tensors):
        raise Wrong(
            f"the list `velocities` has {len(velocities)} entries now; there are {len(tensors)} parameters",
            "the new velocities were added to the list, or old ones taken out, instead of replaced",
            "which place of the list belongs to which parameter?",
        )
    if not all(isinstance(velocity, np.ndarray) for velocity in velocities):
        kind = next(type(velocity).__name__ for velocity in velocities if not isinstance(velocity, np.ndarray))
        raise Wrong(
            f"a velocity has become a {kind}",
            "velocities are arrays; arithmetic with a Tensor makes tensors",
            "which of parameter, .data and .grad belongs into the velocity?",
        )


def judge_velocity(given, got, right, old, rate):
    """Explain a velocity that was stored wrongly, though the parameter moved rightly."""
    compare(
        f"{given} the parameter is right, but the stored velocity is wrong:",
        got,
        right,
        [
            (
                old,
                "it is the old one",
                "the new velocity was computed and not kept: `v = ...` changes the name v, not the list",
                "which line stores into the list?",
            ),
            (
                rate * right,
                "it is smaller by the factor rate",
                "the rate is in the velocity already; in the rule above it comes in when the parameter moves",
                "write the two lines of the rule one below the other",
            ),
            (
                -right,
                "it has the other sign",
                "the rule adds the gradient to the velocity, and then the parameter moves against the velocity",
                "write the two lines of the rule one below the other",
            ),
        ],
    )


def step_mistakes(before, old, gradient, rate, momentum):
    """What typical mistakes make of one parameter: `old` is the velocity before the step."""
    rule = "write the two lines of the rule one below the other, and compare with yours"
    speed = momentum * old + gradient
    other = "that is another rule, with the rate inside of the velocity; the stored velocities would not fit"
    mistakes = [
        (before + momentum * old - rate * gradient, "the velocity was added, and the rate is in it", other, rule),
        (before - momentum * old - rate * gradient, "the rate is in the new part of the velocity", other, rule),
        (
            before - rate * ((1 - momentum) * old + gradient),
            "the old velocity was multiplied by (1 - momentum)",
            "momentum is the share of the old velocity that stays",
            rule,
        ),
        (
            before - rate * (momentum * before + gradient),
            "the parameter itself is in the velocity",
            "the old velocity is what momentum is multiplied by",
            rule,
        ),
        (
            before - rate * (old + momentum * gradient),
            "the gradient was multiplied by momentum, and the old velocity was not",
            "it is the other way round: momentum is the share of the old velocity that stays",
            rule,
        ),
        (
            before - rate * before - rate * speed,
            "the parameter has shrunk by the rate, too",
            "that is weight decay, another rule",
            rule,
        ),
        (before + rate * speed, "it went UP the slope", "the gradient points to where the loss grows", rule),
        (before - speed, "the step is as long as the velocity", "the rate is missing", rule),
        (
            before,
            "this parameter stays as it was",
            "the loop ends too early, or skips it",
            "where is your `return`?",
        ),
        (
            before - rate * momentum * (old + gradient),
            "the gradient was multiplied by momentum, too",
            "only the old velocity is multiplied by momentum; the gradient comes in full",
            rule,
        ),
        (
            before - rate * (momentum * old + (1 - momentum) * gradient),
            "the gradient was multiplied by (1 - momentum)",
            "that is a running mean, another rule than the one above",
            rule,
        ),
        (
            before - momentum * (rate * old + gradient),
            "rate and momentum are exchanged",
            "they have other places",
            rule,
        ),
        (
            before - rate * rate * speed,
            "the rate came in twice",
            "once in the velocity, and once in the step",
            rule,
        ),
        (
            before - rate * (momentum * old + rate * gradient),
            "the rate came in twice",
            "once in the velocity, and once in the step",
            rule,
        ),
        (
            before - rate * (gradient + momentum * speed),
            "this is Nesterov's rule",
            "a good one, but another than the one above: the parameter moves by the velocity alone",
            rule,
        ),
        (
            before - rate * (momentum * old - gradient),
            "it went UP the slope",
            "the gradient was subtracted from the velocity, and the velocity from the parameter",
            rule,
        ),
        (
            before - rate * (momentum * old + abs(gradient)),
            "the sign of the gradient was lost",
            "it says in which direction the loss grows",
            rule,
        ),
        (-rate * speed, "the parameter itself is lost", "the step is to be subtracted from the parameter", rule),
        (before - speed / rate, "the velocity was divided by the rate", "a small rate means small steps", rule),
        (
            before - rate * (speed + gradient),
            "the gradient came in twice",
            "once in the velocity, once in the step",
            rule,
        ),
        (before - rate * old, "it moved by the old velocity", "first comes the new velocity, then the step", rule),
    ]
    if old.any():
        mistakes += [
            (
                before - rate * gradient,
                "the step knows nothing of the ones before",
                "the old velocity plays no part: the parameter moves by the gradient alone",
                "which line uses the velocity that is in the list?",
            ),
            (before - rate * (old + gradient), "the old velocity came in full", "momentum plays no part", rule),
        ]
    return mistakes


def matmul(answer):
    rng = np.random.default_rng()
    for dtype in (np.float64, np.float32):
        for m, k, n in [(3, 2, 4), (2, 5, 3)]:
            a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
            g = rng.normal(size=(m, n)).astype(dtype)
            given = f"For ({m}, {k}) @ ({k}, {n})"
            op, second = call(answer), call(answer)
            try:
                y = call(op.forward, a, b)
                compare(f"{given}, forward:", y, a @ b, (), 1e-5)
                call(second.forward, a + 1, b + 1)
                shares = call(op.backward, g)
            except Wrong as wrong:
                if "ValueError" not in wrong.what:
                    raise
                raise Wrong(
                    f"{given}, g of shape {g.shape}: {wrong.what}",
                    "shapes do not fit: (m, k) @ (k, n) needs equal lengths in the middle",
                    "write down the shapes of g, a and b, and those that the two gradients must have: which "
                    "products "
                    "are possible at all?",
                ) from wrong
            judge_tuple(shares, 2)
            ones = np.ones_like(g)
            for name, got, right, without_g, where in [
                ("a", shares[0], g @ b.T, ones @ b.T, b),
                ("b", shares[1], a.T @ g, a.T @ ones, a),
            ]:
                cut = where.reshape(where.shape[::-1])
                mistakes = [
                    (without_g, "g plays no part", "the incoming gradient is lost", "every output has its own g"),
                    (
                        right.T,
                        "it is transposed",
                        "a gradient has the shape of its input",
                        "compare the two shapes",
                    ),
                    (
                        right / len(g),
                        "it was divided by the number of rows",
                        "this is a mean",
                        "the chain rule adds",
                    ),
                    (
                        g @ cut if name == "a" else cut @ g,
                        "the numbers are mixed up",
                        "reshape does not transpose",
                        ".T",
                    ),
                    (
                        g @ (b + 1).T if name == "a" else (a + 1).T @ g,
                        "it belongs to ANOTHER MatMul",
                        "the inputs are kept where both objects share them",
                        "where does each object keep its own things?",
                    ),
                ]
                compare(f"{given}, backward, the gradient of {name}:", got, right, mistakes, 1e-5)
    return "Two transposes, and every layer of every network has its gradient."


JUDGES = {
    "02.1": relu,
    "02.2": order_without_recursion,
    "02.3": tanh,
    "02.4": momentum_step,
    "02.5": matmul,
}

HINTS = {
    "02.1": [
        "How many inputs has relu, and what is its local derivative: for a = 2, for a = -3?",
        "Start from a copy of __mul__. Which parts of it speak about the second input?",
        "push adds (incoming gradient) * (local derivative) to the gradient of the input. The local derivative is "
        "1 or 0; a comparison can say which.",
    ],
    "02.2": [
        "Play it with f(g(x)) + x on paper. What is on the stack at the start? What is pushed at the first look "
        "at a value?",
        "Before the inputs go on the stack, the value itself has to wait below them, with a note that the next "
        "look is the second.",
        "When is a value to be skipped? Not when it waits on the stack, since a longer path may still lead to "
        "it; but when it was looked at before.",
    ],
    "02.3": [
        "What does backward need that only forward knows? Where do you keep it, so that two objects of the "
        "class do not share it?",
        "Chain rule: what comes in, times the local derivative. The text above states the local derivative.",
    ],
    "02.4": [
        "Two lines of the rule, for each parameter: first the velocity, then the parameter.",
        "The caller must see the new velocity. Which of these changes the caller's list: v = ..., or "
        "velocities[i] = ...?",
        "Look at the training loop of section 8: how does it move a parameter, and what does it do last?",
    ],
}
