# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 2. Each cell stands in place of the exercise cell of the same number."""

# %% 02.1
# Exercise 02.1


def relu(a):
    out = Value(max(a.data, 0.0), (a,), "relu")

    def push():
        a.grad += out.grad * (a.data > 0)

    out.push = push
    return out


# %% 02.2
# Exercise 02.2


def order_without_recursion(output):
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            for source in value.inputs:
                stack.append((source, False))
    return order


# %% 02.3
# Exercise 02.3


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return (g * (1 - self.y * self.y),)


# %% 02.4
# Exercise 02.4


def momentum_step(parameters, velocities, rate, momentum):
    for i in range(len(parameters)):
        velocities[i] = momentum * velocities[i] + parameters[i].grad
        parameters[i].data = parameters[i].data - rate * velocities[i]
        parameters[i].grad = None


# %% 02.5
# Challenge 02.5


class MatMul:
    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return g @ self.b.T, self.a.T @ g
