"""Pictures that the lessons draw more than once, or that would hide a cell's idea behind plotting."""

from tinyhpe import graph


def draw_graph(output):
    """Draw a graph of values (lesson 2): name, data and gradient in a box, arrows from input to result.

    Args:
        output: the last value; it and all behind it have `inputs`, `name`, `data` and `grad`.
    """
    graph.draw_graph(
        output,
        lambda value: value.inputs,
        lambda value: f"{value.name}\ndata {value.data:g}\ngrad {value.grad:g}",
    )
