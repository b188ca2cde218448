"""The trainings of a plan: each in a process and a folder of its own, several at a time, resumable.

A training is an ordinary Run, so its checkpoints do the work. When it has been tested, its results are a file
result.json, and it is never trained again. One that fails says why in that file; the same command tries it anew.
"""

import contextlib
import itertools
import json
import os
import sys

from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.folders import read_text
from tinyhpe.datasets.loader import default_workers
from tinyhpe.datasets.processes import answers, cores, workers
from tinyhpe.datasets.rendered import write_folder
from tinyhpe.errors import InputError
from tinyhpe.evaluation import SEED, evaluate, robustness
from tinyhpe.files import written_by_rename
from tinyhpe.progress import ProgressBar
from tinyhpe.reproduce.plan import ROBUSTNESS
from tinyhpe.reproduce.variants import PlainLoader, register
from tinyhpe.train import CHECKPOINT, Interrupted, Run
from tinyhpe.weight_files import open_arrays

PLAN, RESULT, TIMES, PHOTOS = "plan.json", "result.json", "times.json", "photos"
PHOTO_SIZE = 450  # pixels, as AFLW2000's, so that blur, noise and sampling down mean the same


def run_all(plan, out):
    """Train and test all that the plan names and that has no results yet, in the folder `out`.

    Returns:
        ({name: the result of each seed, as train_and_test() returns it or {"failed": why}}, problems: lines)

    Raises:
        InputError: the folder holds another plan, data cannot be used, or every training has failed.
        Interrupted: Ctrl-C; the same command goes on.
    """
    problems = begin(plan, out)
    folders = {(name, seed): out / f"{name}-seed{seed}" for seed in range(plan.seeds) for name in plan.names}
    train_in_parallel(plan, {key: folder for key, folder in folders.items() if not is_done(folder)})
    results = {key: read_json(folder / RESULT, {}) for key, folder in folders.items()}
    failed = [f"{name}, seed {seed}: {r['failed']}" for (name, seed), r in results.items() if "failed" in r]
    if len(failed) == len(results):
        raise InputError(f"every training failed; {failed[0]}")
    by_name = {name: [results[name, seed] for seed in range(plan.seeds)] for name in plan.names}
    return by_name, problems + failed


def begin(plan, out):
    """Note the plan in the folder, or check that it is the folder's, and make what all trainings need.

    Returns:
        a line for each file that cannot be used
    """
    before = read_json(out / PLAN, plan.written)
    for name, value in plan.written.items():
        if before.get(name) != value:
            raise InputError(
                f"the reproduction in {out} was started with {name} {before.get(name)}, not {value}: give the "
                "same options to go on with it, or another --out"
            )
    if plan.settings.init:
        with open_arrays(plan.settings.init):  # or it is said at once
            pass
    problems = {}
    for data in dict.fromkeys(itertools.chain.from_iterable(map(plan.data_of, plan.names))):
        problems |= dict.fromkeys(open_dataset(*data)[1])
    if len([*(out / PHOTOS).glob("*.jpg")]) < plan.photos:
        write_folder(plan.photos, out / PHOTOS, PHOTO_SIZE, SEED)
    write_json(out / PLAN, plan.written)
    return list(problems)


def train_in_parallel(plan, folders):
    """Train in processes of their own, as many at a time as there are cores; one on a GPU.

    Args:
        folders: {(name, seed): where it is trained}
    """
    count = min(cores() if plan.device == "cpu" else 1, len(folders))
    orders = [(plan, *key, folder) for key, folder in folders.items()]
    bar = ProgressBar(total=len(orders), desc="trainings", unit="training", disable=not orders)
    try:
        with bar, workers(count, work) as crew:
            for _ in answers(crew, orders, count):
                bar.update()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on") from None


def work(plan, name, seed, folder):
    """What a process does: one training and its tests, and the file of the results, or of the reason for none."""
    register()
    folder.mkdir(exist_ok=True)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stderr(nowhere),
        ):  # the bars of several processes
            result = train_and_test(plan, name, seed, folder)
    except Interrupted:
        sys.exit()
    except (InputError, MemoryError) as error:
        result = {"failed": str(error) or "out of memory"}
    write_json(folder / RESULT, result)
    if is_done(folder):
        (folder / CHECKPOINT).unlink(missing_ok=True)


def train_and_test(plan, name, seed, folder):
    """Train one method with one seed, and test it.

    Returns:
        a JSON-able dict: settings, parameters (their number), history (losses of each epoch), times (seconds of
        training at the end of each epoch), seconds, tests ({test set: what evaluate returns}), robustness
        (likewise, of what robustness() returns; for those of ROBUSTNESS)
    """
    settings = plan.settings_of(name, seed)
    trained_on, *tested_on = plan.data_of(name)
    crops, _ = open_dataset(*trained_on)
    run = TimedRun(settings, crops, folder, plan.device, default_workers("cuda") if plan.device == "cuda" else 0)
    if name.endswith("+plain"):
        run.loader = PlainLoader(crops, settings.input_size, settings.batch_size, settings.balanced, seed)
    if (folder / CHECKPOINT).exists():
        run.load_checkpoint()
    run.train(progress=False)
    run.save_model()
    result = {
        "settings": run.description(),
        "parameters": sum(parameter.data.size for parameter in run.model.parameters()),
        "history": run.history,
        "times": read_json(folder / TIMES, []),
        "seconds": run.seconds,
        "tests": {},
        "robustness": {},
    }
    for title, data in zip(plan.tests_of(name), tested_on, strict=True):
        result["tests"][title] = evaluate(open_dataset(*data)[0], run.model, progress=False)
    if name in ROBUSTNESS:
        for title, spec in plan.photo_sets(folder.parent / PHOTOS).items():
            result["robustness"][title] = robustness(spec, run.model, progress=False)
    return result


class TimedRun(Run):
    """A Run that notes when its epochs end."""

    def end_epoch(self, stage):
        before = read_json(self.out / TIMES, [])
        write_json(self.out / TIMES, [*before[: self.epoch], self.seconds])
        super().end_epoch(stage)


def is_done(folder):
    return "failed" not in read_json(folder / RESULT, {"failed": "not tried yet"})


def write_json(path, content):
    with written_by_rename(path) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")


def read_json(path, default):
    """What write_json() wrote, or the default if there is no such file; InputError if it is of another type."""
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}): remove it, and give the same command again") from error
    if type(content) is not type(default):
        raise InputError(f"{path} holds {content!r:.40}: remove it, and give the same command again")
    return content
