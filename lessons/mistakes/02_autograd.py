# ruff: noqa: F811, F821, RET504  (the notebook defines the other names)
"""Typical wrong answers of lesson 2. A heading holds the exercise, and what check() must say about the cell."""


# %% 02.1: what was there is gone: it overwrites what another use of `a` has pushed, as in section 3


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad = out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: the local derivative alone was added; the gradient that comes in plays no part


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += a.data > 0

    out.push = push
    return out


# %% 02.1: a gradient passed where relu is flat; for a negative number the slope is 0


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad

    out.push = push
    return out


# %% 02.1: push is not attached to out; or out.grad was read before push was called, when it was


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    return out


# %% 02.1: out.push = push() calls it at once, before there is a gradient, and stores the None it


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push()
    return out


# %% 02.1: the result has to carry on the graph, and a plain number cannot


def relu(a):
    return max(a.data, 0.0)


# %% 02.1: the sort finds `a` only through out.inputs


def relu(a):
    out = Value(max(a.data, 0.0))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: it multiplies by a value; the local derivative is the slope


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * a.data

    out.push = push
    return out


# %% 02.1: (a) is only a in brackets; it is the comma that makes a tuple


def relu(a):
    out = Value(max(a.data, 0.0), (a))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: relu has one input


def relu(a):
    out = Value(max(a.data, 0.0), (a, a))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: push wrote into out.grad, but gradients flow from out to a


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        out.grad += a.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: this is the absolute value


def relu(a):
    out = Value(abs(a.data), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: this is the smaller of a and 0


def relu(a):
    out = Value(min(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: `a` is a Value; the number that it holds is a.data


def relu(a):
    out = Value(max(a, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: the exercise is not done yet, or the last line computes the result but does not return it


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push


# %% 02.1: a comparison is True or False, that is 1 or 0


def relu(a):
    out = Value(a.data > 0, (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: for a negative number the output is flat, so nothing must be added, and nothing taken


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (1.0 if a.data > 0 else 0.01)

    out.push = push
    return out


# %% 02.1: it was subtracted


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad -= out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: backward() calls every push once, in the right order; section 4 shows what happens


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)
        a.push()

    out.push = push
    return out


# %% 02.1: the gradient of out comes later, from what out goes into; whoever sets it adds something


def relu(a):
    out = Value(max(a.data, 0.0), (a,))
    out.grad = 1.0

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: the output is a value of its own, with a gradient of its own; and `a` is still needed as


def relu(a):
    a.data = max(a.data, 0.0)
    return a


# %% 02.1: it passes where a is negative, and is stopped where a is positive


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (out.data <= 0)

    out.push = push
    return out


# %% 02.1: a.grad is multiplied; gradients of several uses are added up


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad *= out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: the local derivative is neither 1 nor 0


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += 2 * out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: push is called without arguments


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        pass

    out.push = lambda g: None
    return out


# %% 02.2: that function does the whole exercise; it is to be written here, and compared with after


def order_without_recursion(output):
    return order_by_recursion(output)


# %% 02.2: a value that is reached by several paths is visited again by each of them, so the work


def order_without_recursion(output):
    order, stack = [], [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        else:
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return list(dict.fromkeys(order))


# %% 02.2: the value was written down at the first look. In f(g(x)) + x the first look at x comes


def order_without_recursion(output):
    order, seen, queue = [], set(), [output]
    while queue:
        value = queue.pop(0)
        if value not in seen:
            seen.add(value)
            order.append(value)
            queue += value.inputs
    return order[::-1]


# %% 02.2: the order is the wrong way round; backward() reverses the list itself


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return order[::-1]


# %% 02.2: a value that was reached twice was written down twice, so it would push twice


def order_without_recursion(output):
    order, stack = [], [output]
    while stack:
        value = stack.pop()
        order.append(value)
        stack += value.inputs
    return order[::-1]


# %% 02.2: the output itself is not in the list


def order_without_recursion(output):
    order, seen, stack = [], {output}, [(source, False) for source in output.inputs]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return order


# %% 02.2: x was marked as seen when it was put on the stack, by the short path; so the long path,


def order_without_recursion(output):
    order, seen, stack = [], {output}, [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
            continue
        stack.append((value, True))
        for source in value.inputs:
            if source not in seen:
                seen.add(source)
                stack.append((source, False))
    return order


# %% 02.2: the order is the result, and only a list keeps one


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return set(order)


# %% 02.2: the values themselves are wanted, not pairs or names


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append((value, True))
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return order


# %% 02.2: some were never reached, or never written down


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs[:1]]
    return order


# %% 02.2: the loop ended, or the function returned, too early; or not all inputs were put on the


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, True)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return order


# %% 02.2: a function got something of another kind, or another number of arguments, than it takes


def order_without_recursion(output):
    order, seen, stack = [], set(), [output]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack += [(source, False) for source in value.inputs]
    return order


# %% 02.2: values that hold equal numbers were taken for one and the same
def order_without_recursion(output):
    order, done, stack = [], [], [(output, False)]
    while stack:
        v, ready = stack.pop()
        if ready:
            order.append(v)
        elif v.data not in done:
            done.append(v.data)
            stack.append((v, True))
            for s in v.inputs:
                stack.append((s, False))
    return order


# %% 02.3: the incoming gradient is lost


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (1 - self.y * self.y,)


# %% 02.3: the formula needs the result y of forward, and nothing else


class Tanh:
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, g):
        return (g * (1 - self.x * self.x),)


# %% 02.3: y is the value, not the slope


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * self.y,)


# %% 02.3: the square is missing


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - self.y),)


# %% 02.3: y is kept where both objects share it, on the class or in a global


class Tanh:
    def forward(self, x):
        Tanh.y = np.tanh(x)
        return Tanh.y

    def backward(self, g):
        return (g * (1 - Tanh.y * Tanh.y),)


# %% 02.3: an operation returns one gradient for each input; a single one needs a comma, since (a)


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return g * (1 - self.y * self.y)


# %% 02.3: the sign of the square is wrong


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 + self.y * self.y),)


# %% 02.3: g is the gradient that comes in, not the result


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (1 - g * g,)


# %% 02.3: there is one gradient for each input of forward, no more and no fewer


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return g * (1 - self.y * self.y), None


# %% 02.3: the function works in place: += or [...] = on an input, or a view of it, changes the


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        g *= 1 - self.y * self.y
        return (g,)


# %% 02.3: arithmetic with another dtype changes it, and nobody says so


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x.astype(np.float64))
        return self.y

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: y is tanh(x) already; the formula has x there


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - np.tanh(self.y) ** 2),)


# %% 02.3: it was added; the chain rule multiplies


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g + (1 - self.y * self.y),)


# %% 02.3: the exercise is not done yet, or the last line computes the result but does not return it


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: forward kept nothing under this name where backward can find it


class Tanh:
    def forward(self, x):
        y = np.tanh(x)
        return y

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: math.tanh takes one number, this is an array


class Tanh:
    def forward(self, x):
        import math

        self.y = math.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: each element has its own gradient


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return ((g * (1 - self.y * self.y)).sum(),)


# %% 02.3: the name is tanh


class Tanh:
    def forward(self, x):
        self.y = np.sin(x)
        return self.y

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: this is the slope of the sigmoid


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * self.y * (1 - self.y),)


# %% 02.3: a minus too many, or the two sides of a difference are exchanged


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (-g * (1 - self.y * self.y),)


# %% 02.3: y is tanh(x) already; and the slope is never above 1


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * np.cosh(self.y) ** 2,)


# %% 02.3: the input is in place of the gradient that comes in


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        self.g = x
        return self.y

    def backward(self, g):
        return (self.g * (1 - self.y * self.y),)


# %% 02.3: it was divided; the chain rule multiplies


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g / (1 - self.y * self.y),)


# %% 02.3: the square of y is y * y, not 2 * y


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - 2 * self.y),)


# %% 02.3: 1 - y * y was differentiated once more; it is the slope already


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (-2 * g * self.y,)


# %% 02.3: y is the value, not the slope, and g plays no part


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (self.y,)


# %% 02.3: a constant factor is wrong: a division or a multiplication is missing, or is one too many


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - self.y * self.y) / g.size,)


# %% 02.3: the answer is to be one array


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return (self.y,)

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.3: the work is done on a copy, or on another name, and the input is returned; or nothing is


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g,)


# %% 02.3: backward works in place on what it kept, and that is the result itself, which others sti
class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        self.y *= self.y
        return (g * (1 - self.y),)


# %% 02.4: the gradient points to where the loss grows


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data + rate * velocities[i]
        parameter.grad = None


# %% 02.4: the rate is missing


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data - velocities[i]
        parameter.grad = None


# %% 02.4: the new velocity was computed and not kept: `v = ...` changes the name v, not the list


def momentum_step(parameters, velocities, rate, momentum):
    for parameter, velocity in zip(parameters, velocities, strict=True):
        velocity = momentum * velocity + parameter.grad
        parameter.data = parameter.data - rate * velocity
        parameter.grad = None


# %% 02.4: that is a running mean, another rule than the one above


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + (1 - momentum) * parameter.grad
        parameter.data = parameter.data - rate * velocities[i]
        parameter.grad = None


# %% 02.4: backward() ADDS to .grad, so it has to be cleared after the step; None says that there is


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data - rate * velocities[i]


# %% 02.4: the function is empty, or it gives a new meaning to a local name, as `p = p - ...` does


def momentum_step(parameters, velocities, rate, momentum):
    for p, v in zip(parameters, velocities, strict=True):
        v = momentum * v + p.grad
        p = p - rate * v


# %% 02.4: the loop ends too early, or skips it


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data - rate * velocities[i]
        parameter.grad = None
        return True
    return False


# %% 02.4: only the old velocity is multiplied by momentum; the gradient comes in full


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * (velocities[i] + parameters[i].grad)
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: parameters[i] = ... puts a new tensor into the list; the network's own weight never moves


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i] = parameters[i] - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: the gradient was cleared before it was used, or was never there


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        parameters[i].grad = None
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]


# %% 02.4: that is another rule, with the rate inside of the velocity; the stored velocities would


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + rate * parameters[i].grad
        parameters[i].data = parameters[i].data - velocities[i]
        parameters[i].grad = None


# %% 02.4: once in the velocity, and once in the step


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + rate * parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: momentum plays no part


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: the old velocity plays no part: the parameter moves by the gradient alone


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * parameters[i].grad
        parameters[i].grad = None


# %% 02.4: a good one, but another than the one above: the parameter moves by the velocity alone


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * (parameters[i].grad + momentum * velocities[i])
        parameters[i].grad = None


# %% 02.4: a parameter is a Tensor; its array is its .data, and its gradient its .grad


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i]
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: they have other places


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = rate * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - momentum * velocities[i]
        parameters[i].grad = None


# %% 02.4: arithmetic with another dtype changes it, and nobody says so


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = np.float64(momentum) * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: it says in which direction the loss grows


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + abs(parameters[i].grad)
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: each parameter has a velocity of its own shape; two were mixed up


def momentum_step(parameters, velocities, rate, momentum):
    v = 0
    for i in range(len(parameters)):
        v = momentum * v + parameters[i].grad
        velocities[i] = v
        parameters[i].data = parameters[i].data - rate * v
        parameters[i].grad = None


# %% 02.4: momentum is the share of the old velocity that stays


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = (1 - momentum) * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: the step is to be subtracted from the parameter


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = -rate * velocities[i]
        parameters[i].grad = None


# %% 02.4: a small rate means small steps


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - velocities[i] / rate
        parameters[i].grad = None


# %% 02.4: once in the velocity, once in the step


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].data = parameters[i].data - rate * parameters[i].grad
        parameters[i].grad = None


# %% 02.4: the new velocities were added to the list, or old ones taken out, instead of replaced
def momentum_step(parameters, velocities, rate, momentum):
    for p, v in zip(list(parameters), list(velocities), strict=True):
        velocities.append(momentum * v + p.grad)
        p.data = p.data - rate * velocities[-1]
        p.grad = None


# %% 02.5: shapes do not fit: (m, k) @ (k, n) needs equal lengths in the middle


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b, self.a @ g


# %% 02.5: a gradient has the shape of its input


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T, g.T @ self.a


# %% 02.5: one thing is changed: two things that stand side by side are exchanged


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return self.a.T @ g, g @ self.b.T


# %% 02.5: the incoming gradient is lost


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        o = np.ones_like(g)
        return o @ self.b.T, self.a.T @ o


# %% 02.5: there is one gradient for each input of forward, no more and no fewer


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return (g @ self.b.T,)


# %% 02.5: reshape does not transpose


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return (g @ self.b.reshape(self.b.shape[::-1])), self.a.reshape(self.a.shape[::-1]) @ g


# %% 02.5: the inputs are kept where both objects share them


class MatMul:
    def forward(self, a, b):
        MatMul.a, MatMul.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T, self.a.T @ g


# %% 02.5: an operation returns one gradient for each input; a single one needs a comma, since (a)


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return [g @ self.b.T, self.a.T @ g]


# %% 02.5: the function works in place: += or [...] = on an input, or a view of it, changes the


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        self.a *= 2
        return a @ b / 2

    def backward(self, g):
        return g @ self.b.T, self.a.T @ g


# %% 02.5: an axis is lost


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return (g @ self.b.T).sum(axis=0), (self.a.T @ g).sum(axis=1)


# %% 02.5: this is a mean


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T, self.a.T @ g / len(g)


# %% 02.5: the answer is to be one array


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T, None


# %% 02.5: a minus too many, or the two sides of a difference are exchanged


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return -(g @ self.b.T), -(self.a.T @ g)


# %% 02.5: one thing is changed: a part counts half, twice or with the wrong sign


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T * 2, self.a.T @ g
