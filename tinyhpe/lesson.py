"""The lessons from the command line: where they are, and a copy to work in."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tinyhpe.errors import InputError


def lessons_folder():
    """The folder lessons/: inside an installed package, beside it in the repository."""
    inside = Path(__file__).parent / "lessons"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "lessons"


def copy_lesson(number, folder, fresh=False):
    """Copy a lesson's notebook, unless it is there already, and all that it imports into a folder.

    Args:
        fresh: begin anew; the notebook that is there is kept as NN_name-old-1.ipynb, and so on.

    Returns:
        the path of the notebook
    """
    source, folder = lessons_folder(), Path(folder)
    notebooks = {int(path.name[:2]): path for path in sorted(source.glob("[0-9][0-9]_*.ipynb"))}
    if number not in notebooks:
        raise InputError(f"there is no lesson {number}: choose one of {', '.join(map(str, notebooks))}")
    notebook = folder / notebooks[number].name
    if folder.resolve() == source.resolve():
        return notebook
    if fresh and notebook.exists():
        old = (folder / f"{notebook.stem}-old-{count}.ipynb" for count in range(1, 1000))
        notebook.rename(next(path for path in old if not path.exists()))
    if not notebook.exists():
        content = json.loads(notebooks[number].read_text(encoding="utf-8"))
        # which is for authors: Jupyter would keep a .py beside the copy, and open no fresh one beside that
        del content["metadata"]["jupytext"]
        notebook.write_text(json.dumps(content, indent=1), encoding="utf-8")
    (folder / "checks").mkdir(exist_ok=True)
    for path in [*source.glob("[!0-9]*.py"), *source.glob("checks/*.py")]:
        shutil.copy(path, folder / path.relative_to(source))
    return notebook


def open_notebook(notebook):
    """Open a notebook in Jupyter, where it is installed, until Jupyter ends; else return what to do."""
    for module in "jupyterlab", "notebook":
        if importlib.util.find_spec(module):
            subprocess.run([sys.executable, "-m", module, notebook], check=False)
            return ""
    return "; open it in an editor that knows notebooks, or: pip install notebook, and the same command again"
