"""The judges of lesson 2: relu as a closure, sorting without recursion, tanh as a class, one step downhill."""

from types import SimpleNamespace

import numpy as np

from checks.judging import Wrong, call, compare, explain
from tinyhpe import Tensor


def relu(answer):
    for data, slope in [(2.0, 1.0), (-3.0, 0.0)]:
        a = SimpleNamespace(data=data, grad=5.0)  # 5.0: what another use of `a` has pushed already
        out = call(answer, a)
        if not all(hasattr(out, name) for name in ("data", "inputs", "push")):
            raise Wrong(
                f"relu returns a {type(out).__name__}; it should return a Value",
                "the result has to carry on the graph, and a plain number cannot",
                "make it as __mul__ does: out = Value(the number, (a,))",
            )
        compare(f"For a = {data:g}", float(out.data), np.array(max(data, 0.0)))
        if tuple(out.inputs) != (a,):
            raise Wrong(
                f"out.inputs is {out.inputs!r}; it should be a tuple that holds a, and nothing else",
                "the sort finds `a` only through out.inputs",
                "Value(the number, (a,)): the comma makes it a tuple",
            )
        if not callable(out.push):
            raise Wrong(
                "out.push is not a function",
                "out.push = push() calls it at once, before there is a gradient, and stores the None it returns",
                "leave the brackets away: out.push = push",
            )
        out.grad = 0.5
        try:
            out.push()
        except Exception as error:
            raise explain(error) from error
        judge_push(data, slope, a.grad)
    return "It bends, it adds to what is there, and it multiplies by what comes in."


def judge_push(data, slope, grad):
    """Explain a wrong gradient: `grad` started as 5.0, and 0.5 * slope was to be added."""
    expected = 5.0 + 0.5 * slope
    if grad == expected:
        return
    given = (
        f"a.data is {data:g}, a.grad was 5 already, out.grad is 0.5. "
        f"After push, a.grad is {grad:g}, not {expected:g}:"
    )
    hint = "compare with __mul__, and change one thing: the local derivative"
    if grad == 5.0:
        raise Wrong(
            f"{given} nothing was added",
            "either push was defined and not attached, or the local derivative is 0 everywhere",
            "the last lines should be: out.push = push, then return out",
        )
    if grad == 0.5 * slope:
        why = "it overwrites what another use of `a` has pushed; with error * error this lost one half"
        raise Wrong(f"{given} the 5 is gone", why, "+= in place of =")
    if slope and grad == 6.0:
        why = "the local derivative alone was added; the chain rule multiplies it by the gradient that comes in"
        raise Wrong(f"{given} 1 was added, whatever came in", why, "multiply by out.grad, as __mul__ does")
    if not slope and grad == 5.5:
        why = "for a negative number the output is flat, so its local derivative is 0"
        raise Wrong(f"{given} a gradient passed where relu is flat", why, "multiply by (a.data > 0)")
    raise Wrong(given, "this is none of the mistakes that this check knows", hint)


class Watched:
    """A value for sorting that counts how often anybody asks for inputs."""

    looks = 0
    limit = 20_000

    def __init__(self, *inputs):
        self.known = inputs

    @property
    def inputs(self):
        Watched.looks += 1
        if Watched.looks > Watched.limit:
            raise Wrong(
                f"{Watched.limit:,} looks at inputs, for a graph of a few dozen values",
                "a value that is reached by several paths is visited again by each of them, so the work "
                "doubles at every level of a diamond",
                "keep a set of the values seen so far, and skip a value that is in it",
            )
        return self.known


def order_without_recursion(answer):
    x = Watched(Watched())
    inner = Watched(x, Watched())
    residual = Watched(Watched(inner), x)  # x is reached by a short and by a long path
    diamond = [Watched()]
    for _ in range(30):
        diamond.append(Watched(diamond[-1], diamond[-1]))
    chain = [Watched()]
    for _ in range(5000):
        chain.append(Watched(chain[-1]))
    judge_order(answer, "f(g(x)) + x", residual, 6)
    judge_order(answer, "a diamond with 30 levels", diamond[-1], 31)
    judge_order(answer, "a chain of 5,000 operations", chain[-1], 5001)
    return "Chains of any length, and each value once. This is the library's way, too."


def judge_order(answer, title, output, count):
    """Explain a wrong order of the `count` values behind `output`."""
    Watched.looks, Watched.limit = 0, 200 * count
    try:
        order = call(answer, output)
    except Wrong as wrong:
        if "RecursionError" in wrong.what:
            raise Wrong(
                f"for {title}: RecursionError",
                "the function still calls itself (or one inside it does) once for each level of the graph",
                "a `while stack:` loop: pop the last entry, put its inputs on the stack",
            ) from wrong
        raise
    Watched.limit = 10**9
    try:
        order = list(order)
    except TypeError as error:
        raise Wrong(
            f"it returns a {type(order).__name__}", "a list of values is wanted", "return the list"
        ) from error
    if len(order) > len(set(map(id, order))):
        raise Wrong(
            f"for {title}: {len(order)} entries, but only {len(set(map(id, order)))} different values",
            "a value that was reached twice was written down twice, so it would push twice",
            "keep a set of the values seen so far, and skip a value that is in it",
        )
    if len(order) != count:
        raise Wrong(
            f"for {title}: {len(order)} values; there are {count}",
            "some were never reached, or never written down; is the output itself in the list?",
            "write a value down when it comes off the stack with inputs_done = True",
        )
    position = {id(value): place for place, value in enumerate(order)}
    wrong = sum(position[id(s)] > position[id(v)] for v in order for s in v.inputs)
    if not wrong:
        return
    if all(position[id(s)] > position[id(v)] for v in order for s in v.inputs):
        raise Wrong(
            f"for {title}: every value stands before its inputs",
            "the order is right, but the wrong way round; backward() reverses the list itself",
            "return the list in the order in which the values were finished",
        )
    raise Wrong(
        f"for {title}: {wrong} times a value stands before one of its inputs",
        "the value was written down at the first look. In f(g(x)) + x the first look at x comes from the "
        "short path, while g, which needs x too, is still to come",
        "write it down at the second look only, when its inputs are done: that is what the pair is for",
    )


def tanh(answer):
    rng = np.random.default_rng()  # other numbers each time: nothing can be learned by heart
    x, other, g = rng.normal(size=(3, 2, 3))
    op, second = call(answer), call(answer)
    y = call(op.forward, x)
    compare("For x of shape (2, 3), forward:", y, np.tanh(x), hint="np.tanh(x) is all that is needed")
    call(second.forward, other)
    shares = call(op.backward, g)
    if not isinstance(shares, tuple) or len(shares) != 1:
        raise Wrong(
            f"backward returns a {type(shares).__name__}; it should return a tuple with one array in it",
            "an operation with two inputs returns two gradients; with a single input it returns a tuple of one",
            "the comma makes the tuple: return (gradient,)",
        )
    slope, y = 1 - np.tanh(x) ** 2, np.tanh(x)
    mistakes = [
        (
            slope,
            "the local derivative alone: g does not matter",
            "chain rule: the incoming gradient is lost",
            "g * ...",
        ),
        (
            g * (1 - x * x),
            "g * (1 - x * x)",
            "the formula needs the result y, not the input x",
            "keep y in forward",
        ),
        (g * y, "g * y", "y is the value, not the slope", "the slope is 1 - y * y"),
        (g * (1 - y), "g * (1 - y)", "the square is missing", "the slope is 1 - y * y"),
        (
            g * (1 - np.tanh(other) ** 2),
            "the gradient at the numbers of ANOTHER Tanh",
            "y is kept where both objects share it, on the class or in a global",
            "keep it on self: self.y = ...",
        ),
    ]
    compare("backward:", shares[0], g * slope, mistakes)
    return "Forward and backward, side by side, tested without any graph."


def momentum_step(answer):
    rate, momentum = 0.1, 0.5
    start = [np.float32([1, 2]), np.float32([[3]])]
    gradients = [[np.float32([10, -20]), np.float32([[4]])], [np.float32([6, 8]), np.float32([[-2]])]]
    parameters = [Tensor(array.copy(), requires_grad=True) for array in start]
    velocities = [np.zeros_like(array) for array in start]
    expected, speed = [array.copy() for array in start], [np.zeros_like(array) for array in start]
    for number, step in enumerate(gradients, 1):
        before = [p.data.copy() for p in parameters]
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.copy()
        try:
            answer(parameters, velocities, rate, momentum)
        except Exception as error:
            raise explain(error) from error
        if all(np.array_equal(p.data, b) for p, b in zip(parameters, before, strict=True)):
            raise Wrong(
                "the parameters have not changed",
                "the function is empty, or it gives a new meaning to a local name: `p = p - ...` makes a new "
                "tensor and leaves the parameter as it was",
                "assign to the data: parameters[i].data = ...",
            )
        for i, gradient in enumerate(step):
            speed[i] = np.float32(momentum) * speed[i] + gradient
            expected[i] = expected[i] - np.float32(rate) * speed[i]
            mistakes = step_mistakes(number, before[i], gradient, rate, momentum)
            compare(f"Step {number}, parameter {i}:", parameters[i].data, expected[i], mistakes)
        if any(p.grad is not None for p in parameters):
            raise Wrong(
                "the step is right, but .grad still holds the old gradient",
                "backward() ADDS to .grad, so the next step would use the sum of both gradients",
                "at the end, for each parameter: .grad = None",
            )
    return "You have written an optimizer. tinyhpe/optim.py has a faster one, and Adam."


def step_mistakes(number, before, gradient, rate, momentum):
    """What typical mistakes make of one parameter in step `number`."""
    mistakes = [
        (
            before + rate * gradient,
            "it went UP the slope",
            "the gradient points to where the loss grows",
            "subtract",
        ),
        (before - gradient, "the step is as long as the gradient", "the rate is missing", "multiply by rate"),
        (before, "this parameter stays as it was", "the loop ends too early", "is `return` inside the loop?"),
        (
            before - rate * (1 - momentum) * gradient,
            "the gradient was multiplied by (1 - momentum)",
            "that is a running mean, another rule than the one above",
            "velocity = momentum * velocity + gradient",
        ),
    ]
    if number == 2:
        mistakes.append(
            (
                before - rate * gradient,
                "the second step knows nothing of the first",
                "the new velocity was computed and not kept: `v = ...` in a loop changes the name v, not the list",
                "velocities[i] = ...",
            )
        )
    return mistakes


JUDGES = {"02.1": relu, "02.2": order_without_recursion, "02.3": tanh, "02.4": momentum_step}

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
