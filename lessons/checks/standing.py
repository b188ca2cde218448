"""How a class gets on: what `tinyhpe class FOLDER` prints."""

import collections
from pathlib import Path

from checks.answers import NAME, read
from tinyhpe.errors import InputError


def report(folder):
    """The lines of a report on all answers below a folder: who stands where, and the commonest mistakes."""
    folder = Path(folder)
    answers = {}
    for path in sorted(filter(Path.is_file, folder.rglob("*.jsonl"))):
        place = path.parent if path.name == NAME else path.with_suffix("")
        answers[str(place.relative_to(folder))] = read(path)
    if not any(answers.values()):
        raise InputError(f"no answers in {folder}: put every student's {NAME} there, in a folder with their name")
    exercises = sorted({record["exercise"] for records in answers.values() for record in records})
    width = max(map(len, answers))
    lines = [" " * width + "".join(f"{exercise:>6}" for exercise in exercises)]
    for name, records in answers.items():
        lines.append(name.ljust(width) + "".join(f"{standing(records, exercise):>6}" for exercise in exercises))
    lines += [
        "",
        "+2: right at the second attempt; -3: three attempts, not right yet; !: looked at the solution",
        "",
    ]
    for exercise in exercises:
        mistakes, examples = collections.Counter(), {}
        for records in answers.values():
            wrong = [r for r in records if (r["exercise"], r["verdict"]) == (exercise, "wrong")]
            mistakes.update({r["diagnosis"] for r in wrong})
            examples |= {r["diagnosis"]: r.get("seen", "") for r in wrong}
        for diagnosis, count in mistakes.most_common(3):
            lines.append(f"{exercise}, {count} of {len(answers)}: {examples[diagnosis]}")
            lines.append(f"      {diagnosis}")
    return lines


def standing(records, exercise):
    """One student's place in one exercise, in a few letters."""
    verdicts = [record["verdict"] for record in records if record["exercise"] == exercise]
    looked = "!" if "solution" in verdicts else ""
    tries = [verdict for verdict in verdicts if verdict in ("right", "wrong")]
    if "right" in tries:
        return f"{looked}+{tries.index('right') + 1}"
    return f"{looked}-{len(tries)}" if tries else looked or "."
