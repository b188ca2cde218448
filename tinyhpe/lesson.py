"""The lessons from the command line: where they lie."""

from pathlib import Path


def lessons_folder():
    """The folder lessons/: inside an installed package, beside it in the repository."""
    inside = Path(__file__).parent / "lessons"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "lessons"
