# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 2. A heading holds the exercise, and what check() must say about the cell."""

# %% 02.1: the 5 is gone


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad = out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.1: multiply by out.grad


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += a.data > 0

    out.push = push
    return out


# %% 02.1: relu is flat


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad

    out.push = push
    return out


# %% 02.1: nothing was added


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    return out


# %% 02.1: leave the brackets away


def relu(a):
    out = Value(max(a.data, 0.0), (a,))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push()
    return out


# %% 02.1: it should return a Value


def relu(a):
    return max(a.data, 0.0)


# %% 02.1: only through out.inputs


def relu(a):
    out = Value(max(a.data, 0.0))

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.2: RecursionError


def order_without_recursion(output):
    return order_by_recursion(output)


# %% 02.2: doubles at every level


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


# %% 02.2: written down at the first look


def order_without_recursion(output):
    order, seen, queue = [], set(), [output]
    while queue:
        value = queue.pop(0)
        if value not in seen:
            seen.add(value)
            order.append(value)
            queue += value.inputs
    return order[::-1]


# %% 02.2: the wrong way round


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


# %% 02.2: written down twice


def order_without_recursion(output):
    order, stack = [], [output]
    while stack:
        value = stack.pop()
        order.append(value)
        stack += value.inputs
    return order[::-1]


# %% 02.2: is the output itself in the list


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


# %% 02.3: g does not matter


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (1 - self.y * self.y,)


# %% 02.3: not the input x


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


# %% 02.3: ANOTHER Tanh


class Tanh:
    def forward(self, x):
        Tanh.y = np.tanh(x)
        return Tanh.y

    def backward(self, g):
        return (g * (1 - Tanh.y * Tanh.y),)


# %% 02.3: the comma makes the tuple


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return g * (1 - self.y * self.y)


# %% 02.4: it went UP


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


# %% 02.4: knows nothing of the first


def momentum_step(parameters, velocities, rate, momentum):
    for parameter, velocity in zip(parameters, velocities, strict=True):
        velocity = momentum * velocity + parameter.grad
        parameter.data = parameter.data - rate * velocity
        parameter.grad = None


# %% 02.4: (1 - momentum)


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + (1 - momentum) * parameter.grad
        parameter.data = parameter.data - rate * velocities[i]
        parameter.grad = None


# %% 02.4: still holds the old gradient


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data - rate * velocities[i]


# %% 02.4: the parameters have not changed


def momentum_step(parameters, velocities, rate, momentum):
    for p, v in zip(parameters, velocities, strict=True):
        v = momentum * v + p.grad
        p = p - rate * v


# %% 02.4: `return` inside the loop


def momentum_step(parameters, velocities, rate, momentum):
    for i, parameter in enumerate(parameters):
        velocities[i] = momentum * velocities[i] + parameter.grad
        parameter.data = parameter.data - rate * velocities[i]
        parameter.grad = None
        return True
    return False
