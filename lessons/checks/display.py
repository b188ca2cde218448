"""Verdicts on the screen: coloured in a notebook, plain ASCII elsewhere."""

import html
import sys
import textwrap

COLOURS = {"right": "#2a9d2a", "wrong": "#d03030", "open": "#8a8a8a"}


def show(mood, title, rows=()):
    """Show a title and (label, text) rows below it.

    Args:
        mood: "right", "wrong" or "open", for the colour.
    """
    plain = [textwrap.fill(title, 100)]
    for label, text in rows:
        plain.append(textwrap.fill(text, 100, initial_indent=f"  {label + ':':6}", subsequent_indent=" " * 8))
    if not in_notebook():
        print("\n".join(plain))
        return
    from IPython.display import display

    colour = COLOURS[mood]
    lines = [f'<b style="color:{colour}">{html.escape(title)}</b>']
    lines += [f"<b>{label}:</b> {html.escape(text)}" for label, text in rows]
    box = (
        f'<div style="border-left:4px solid {colour};padding-left:0.8em;max-width:60em">{"<br>".join(lines)}</div>'
    )
    display({"text/plain": "\n".join(plain), "text/html": box}, raw=True)


def in_notebook():
    """Whether whoever reads this sees HTML: IPython runs, and not in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return bool(shell) and type(shell).__name__ != "TerminalInteractiveShell"
