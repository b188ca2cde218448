"""The tape as a picture: Tensor.graph() draws what was computed, and the gradients on their way back."""

from tinyhpe.backend import array_module, to_numpy
from tinyhpe.tensor import Tensor, backward_order


def graph(self, steps=None):
    """Draw this tensor and all that went into it: op, shape, size of its values, and of its gradient.

    The tape stays as it is, so backward() can follow. After backward() it is gone.

    Args:
        steps: how many ops have handed their gradient on, by default all of them. A gradient that has not come yet
            is shown as such.

    Returns:
        a matplotlib Figure; numbers are root mean squares, or the value itself where there is only one
    """
    if self.op is not None and self.op.inputs is None:
        raise RuntimeError("backward() has released this graph: compute again, and draw before backward()")
    gradients = gradients_after(self, steps)

    def text_of(tensor):
        maker = type(tensor.op).__name__ if tensor.op else "leaf" if tensor.requires_grad else "constant"
        lines = [maker, str(tensor.shape), f"data {summary(tensor.data)}"]
        if tensor.requires_grad:
            came = tensor in gradients
            lines.append(f"grad {summary(gradients[tensor])}" if came else "no grad yet")
        return "\n".join(lines)

    return draw_graph(self, lambda tensor: tensor.op.inputs if tensor.op else (), text_of)


def gradients_after(output, steps):
    """The gradient of each tensor that it has reached after so many steps of backward(), from a seed of ones."""
    xp = array_module(output.data)
    gradients = {output: xp.ones_like(output.data)}
    made = [tensor for tensor in reversed(backward_order(output)) if tensor.op is not None]
    for tensor in made[:steps]:
        shares = tensor.op.way.backward(tensor.op, xp, gradients[tensor])
        for source, share in zip(tensor.op.inputs, shares, strict=True):
            if source.requires_grad:
                gradients[source] = gradients[source] + share if source in gradients else share
    return gradients


def summary(array):
    """One number for an array: its value, or its root mean square."""
    array = to_numpy(array)
    return f"{array.item():.4g}" if array.size == 1 else f"~{(array.astype(float) ** 2).mean() ** 0.5:.3g}"


def draw_graph(output, inputs_of, text_of):
    """Draw boxes and arrows from inputs, at the left, to the output, at the right; returns the matplotlib Figure.

    Args:
        inputs_of: gives the nodes that went into a node.
        text_of: gives what stands in a node's box.
    """
    import matplotlib.pyplot as plt

    column, waiting = {output: 0}, [output]
    for node in waiting:  # it grows on the way: whoever moves further from the output moves its inputs, too
        for source in inputs_of(node):
            if column.get(source, -1) <= column[node]:
                column[source] = column[node] + 1
                waiting.append(source)
    columns = [[node for node in column if column[node] == c] for c in range(max(column.values()) + 1)]
    tallest = max(map(len, columns))
    place = {
        node: (2.2 * (len(columns) - 1 - c), (row + 0.5) * tallest / len(nodes))
        for c, nodes in enumerate(columns)
        for row, node in enumerate(reversed(nodes))
    }
    figure, ax = plt.subplots(figsize=(2.1 * len(columns), 1.3 * tallest))
    for node, (x, y) in place.items():
        ax.text(x, y, text_of(node), ha="center", va="center", bbox={"boxstyle": "round", "fc": "#eef4fb"})
        for number, source in enumerate(inputs_of(node)):  # where an input is used twice, two bent arrows
            bend = (0.25 - 0.5 * number) * (sum(other is source for other in inputs_of(node)) > 1)
            arrow = {"arrowstyle": "->", "color": "#345", "connectionstyle": f"arc3,rad={bend}"}
            ax.annotate("", (x - 0.6, y), (place[source][0] + 0.6, place[source][1]), arrowprops=arrow)
    ax.set(xlim=(-0.8, 2.2 * len(columns) - 1.4), ylim=(0, tallest))
    ax.axis("off")
    return figure


Tensor.graph = graph
