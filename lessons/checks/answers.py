"""What was answered when: answers.jsonl beside the notebook, which `tinyhpe class FOLDER` reads."""

import contextlib
import datetime
import json
from pathlib import Path

NAME = "answers.jsonl"
FILE = Path.cwd() / NAME  # a notebook's kernel starts in the notebook's folder


def read(path):
    """The records of an answers.jsonl, oldest first: exercise, verdict, diagnosis, attempt, time."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, RecursionError):  # a line that is damaged
            records.append(json.loads(line))
    return [r for r in records if isinstance(r, dict) and {"exercise", "verdict", "diagnosis"} <= set(r)]


history = []
with contextlib.suppress(OSError):
    history += read(FILE)


def record(exercise, verdict, diagnosis="", seen=""):
    """Keep a verdict ("right", "wrong", "hint", "solution"), its diagnosis, and what was seen of it.

    A read-only folder does no harm.
    """
    attempt = 1 + sum(e["exercise"] == exercise and e["verdict"] in ("right", "wrong") for e in history)
    time = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    entry = {
        "exercise": exercise,
        "verdict": verdict,
        "diagnosis": diagnosis,
        "seen": seen,
        "attempt": attempt,
        "time": time,
    }
    history.append(entry)
    with contextlib.suppress(OSError), FILE.open("a", encoding="ascii") as file:
        file.write(json.dumps(entry) + "\n")
