"""Pictures that the lessons draw more than once, or that would hide a cell's idea behind plotting."""

import matplotlib.pyplot as plt


def draw_graph(output):
    """Draw a graph of values (lesson 2): name, data and gradient in a box, arrows from input to result.

    Args:
        output: the last value; it and all behind it have `inputs`, `name`, `data` and `grad`.
    """
    depth, columns = {}, {}

    def visit(value):
        if value not in depth:
            depth[value] = 1 + max((visit(source) for source in value.inputs), default=-1)
        return depth[value]

    visit(output)
    for value in sorted(depth, key=depth.get, reverse=True):
        for source in value.inputs:
            if not source.inputs:  # a start value stands just before its first use
                depth[source] = depth[value] - 1
    for value in depth:
        columns.setdefault(depth[value], []).append(value)
    tallest = max(map(len, columns.values()))
    places = {
        value: (2.2 * column, (row + 0.5) * tallest / len(values))
        for column, values in columns.items()
        for row, value in enumerate(reversed(values))
    }
    _, ax = plt.subplots(figsize=(2.1 * len(columns), 1.1 * tallest))
    for value, (x, y) in places.items():
        text = f"{value.name}\ndata {value.data:g}\ngrad {value.grad:g}"
        ax.text(x, y, text, ha="center", va="center", bbox={"boxstyle": "round", "fc": "#eef4fb", "ec": "#345"})
        for count, source in enumerate(value.inputs):
            twice = value.inputs.count(source) > 1  # two arrows side by side: bend one up, one down
            bend = (0.25 if count else -0.25) if twice else 0
            arrow = {"arrowstyle": "->", "color": "#345", "connectionstyle": f"arc3,rad={bend}"}
            ax.annotate("", (x - 0.5, y), (places[source][0] + 0.5, places[source][1]), arrowprops=arrow)
    ax.set(xlim=(-0.7, 2.2 * len(columns) - 1.3), ylim=(0, tallest))
    ax.axis("off")
