"""The files of the lessons: their cells, stubs, solutions and known mistakes."""

import ast
import linecache
import re
from pathlib import Path

from tinyhpe.lesson import lessons_folder

BESIDE = Path(__file__).parents[1]
LESSONS = (
    BESIDE if (BESIDE / "solutions").is_dir() else lessons_folder()
)  # a copied lesson has no solutions beside
TASK = re.compile(r"# (Exercise|Challenge) (\d\d\.\d)\n")


def split_cells(text):
    """Split a percent-format file into (heading, source) pairs; the heading is what follows `# %%`."""
    pieces = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)[1:]
    return [
        (heading.strip(), source.strip("\n") + "\n")
        for heading, source in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def read_code(name):
    """The sources of a lesson's code cells."""
    text = (LESSONS / f"{name}.py").read_text(encoding="ascii")
    return [source for heading, source in split_cells(text) if not heading.startswith("[markdown]")]


def read_answers(folder, name):
    """The (exercise, remark, source) of each cell in solutions/NAME.py or mistakes/NAME.py.

    A cell's heading is the exercise's number; in mistakes/ it goes on with a part of the explanation
    that the mistake must get: `# %% 02.1: overwrites`.
    """
    answers = []
    for heading, source in split_cells((LESSONS / folder / f"{name}.py").read_text(encoding="ascii")):
        number, _, remark = heading.partition(": ")
        answers.append((number, remark, source))
    return answers


def name_of(number):
    """02.1 -> 02_autograd"""
    return next(LESSONS.glob(f"{number[:2]}_*.py")).stem


def task_of(source):
    """The number of the exercise or challenge that a code cell holds the stub of, or None."""
    found = TASK.match(source)
    return found and found[2]


def stub_of(number):
    """The source of the cell that a student finds."""
    return next(source for source in read_code(name_of(number)) if task_of(source) == number)


def solution_of(number):
    """The source of the cell that stands in its place."""
    return next(source for n, _, source in read_answers("solutions", name_of(number)) if n == number)


def execute(source, title, namespace):
    """Run one cell; inspect.getsource() and tracebacks find its lines."""
    filename = f"<{title}>"
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    exec(compile(source, filename, "exec"), namespace)


def define(source, title, namespace):
    """Run a cell in a copy of a namespace and return what it defines last, a function or class."""
    namespace = dict(namespace)
    execute(source, title, namespace)
    return namespace[ast.parse(source).body[-1].name]


def is_stub(answer, stub):
    """Whether the student's function or class does the same, instruction by instruction, as the untouched one."""
    return traits(answer) == traits(stub)


def traits(thing):
    """What a function, class, or code object is made of, names of files and line numbers apart."""
    if isinstance(thing, type):
        return {name: traits(value) for name, value in vars(thing).items() if hasattr(value, "__code__")}
    code = getattr(thing, "__code__", thing)
    if hasattr(code, "co_code"):
        return code.co_code, code.co_names, [traits(constant) for constant in code.co_consts]
    return repr(code)
