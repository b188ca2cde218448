"""The trainings of a plan: each in a process and a folder of its own, several at a time, resumable.

A training is an ordinary Run, so its checkpoints do the work. When it has been tested, its results are a file
result.json, and it is never trained again. One that fails says why in that file; the same command tries it anew.
"""

import contextlib
import json
import multiprocessing
import os
from multiprocessing.connection import wait

from tqdm import tqdm

from tinyhpe.datasets import open_dataset
from tinyhpe.datasets.loader import default_workers
from tinyhpe.datasets.processes import begin_work, cores, deaf_to_interrupts
from tinyhpe.datasets.rendered import write_folder
from tinyhpe.errors import InputError
from tinyhpe.evaluation import SEED, evaluate, robustness
from tinyhpe.files import written_by_rename
from tinyhpe.reproduce.plan import ROBUSTNESS
from tinyhpe.reproduce.variants import PlainLoader
from tinyhpe.train import CHECKPOINT, Interrupted, Run

PLAN, RESULT, TIMES, PHOTOS = "plan.json", "result.json", "times.json", "photos"
CRASHED = {"failed": "its process ended without a result: killed, or what is written above"}
PHOTO_SIZE = 450  # pixels, as AFLW2000's, so that blur, noise and sampling down mean the same
DATA_SEED = 0  # all trainings see the same heads: seeds are of weights and order


def run_all(plan, out):
    """Train and test all that the plan names and that has no results yet, in the folder `out`, which is ours alone.

    Returns:
        ({name: the result of each seed, as train_and_test() returns it or {"failed": why}}, problems: lines)

    Raises:
        InputError: the folder holds another plan, data cannot be used, or every training has failed.
        Interrupted: Ctrl-C; the same command goes on.
    """
    images, problems = begin(plan, out)
    folders = {(name, seed): out / f"{name}-seed{seed}" for seed in range(plan.seeds) for name in plan.names}
    steps = plan.settings.epochs * (images // plan.settings.batch_size)
    train_in_parallel(plan, {key: folder for key, folder in folders.items() if not is_done(folder)}, steps)
    results = {key: read_json(folder / RESULT, CRASHED) for key, folder in folders.items()}
    failed = [f"{name}, seed {seed}: {r['failed']}" for (name, seed), r in results.items() if "failed" in r]
    if len(failed) == len(results):
        raise InputError(f"every training failed; {failed[0]}")
    by_name = {name: [results[name, seed] for seed in range(plan.seeds)] for name in plan.names}
    return by_name, problems + failed


def begin(plan, out):
    """Note the plan in the folder, or check that it is the folder's, and make what all trainings need.

    Returns:
        (number of training images, a line for each file that cannot be used)
    """
    before = read_json(out / PLAN) or plan.written
    for name, value in plan.written.items():
        if before.get(name) != value:
            raise InputError(
                f"the reproduction in {out} was started with {name} {before.get(name)}, not {value}: give the same "
                "options to go on with it, or another --out"
            )
    problems = []
    for spec in plan.test_sets.values():
        problems += open_dataset(spec, plan.size, plan.tested, SEED)[1]
    for spec in sorted({plan.settings_of(name, 0).data for name in plan.names}):
        crops, unusable = open_dataset(spec, plan.size, plan.settings.heads, DATA_SEED)
        problems += unusable
    if len([*(out / PHOTOS).glob("*.jpg")]) < plan.photos:
        write_folder(plan.photos, out / PHOTOS, PHOTO_SIZE, SEED)
    write_json(out / PLAN, plan.written)
    return len(crops), problems


def train_in_parallel(plan, folders, steps):
    """Train in processes of their own, as many at a time as there are cores; one on a GPU.

    Args:
        folders: {(name, seed): where it is trained}
        steps: of one training.
    """
    spawn = multiprocessing.get_context("spawn")
    shared = spawn.Event(), spawn.Value("q", 0)  # set to stop them all; steps done
    todo, running = list(folders.items()), {}
    with tqdm(
        total=steps * len(todo), desc=f"{len(todo)} trainings", unit="step", smoothing=0.02, disable=not todo
    ) as bar:
        try:
            while todo or running:
                while todo and len(running) < (cores() if plan.device == "cpu" else 1):
                    key, folder = todo.pop(0)
                    process = spawn.Process(target=work, args=(plan, *key, folder, *shared))
                    with deaf_to_interrupts():
                        process.start()
                    running[process.sentinel] = process
                for sentinel in wait(running, timeout=0.5):
                    running.pop(sentinel).join()
                bar.update(shared[1].value - bar.n)
        except KeyboardInterrupt:
            shared[0].set()
            for process in running.values():
                process.join()
            raise Interrupted("interrupted; the same command goes on") from None


def work(plan, name, seed, folder, stop, steps):
    """What a process does: one training and its tests, and the file of the results, or of the reason for none."""
    begin_work()
    folder.mkdir(exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stderr(nowhere),
        ):  # the bars of several processes
            result = train_and_test(plan, name, seed, folder, stop, steps)
    except Interrupted:
        return
    except (InputError, MemoryError) as error:
        result = {"failed": str(error) or "out of memory"}
    write_json(folder / RESULT, result)
    if is_done(folder):
        (folder / CHECKPOINT).unlink()


def train_and_test(plan, name, seed, folder, stop, steps):
    """Train one method with one seed, and test it.

    Returns:
        a JSON-able dict: settings, parameters (their number), history (losses of each epoch), times (seconds of
        training at the end of each epoch), seconds, tests ({test set: what evaluate returns}), robustness (likewise, of what
        robustness() returns; for those of ROBUSTNESS)
    """
    settings = plan.settings_of(name, seed)
    crops, _ = open_dataset(settings.data, plan.size, settings.heads, DATA_SEED)
    run = WatchedRun(settings, crops, folder, plan.device, default_workers("cuda") if plan.device == "cuda" else 0)
    run.stop, run.steps = stop, steps
    if name.endswith("+plain"):
        run.loader = PlainLoader(crops, settings.input_size, settings.batch_size, settings.balanced, seed)
    if (folder / CHECKPOINT).exists():
        run.load_checkpoint()
        steps.value += run.epoch * len(run.loader) + run.batch
    run.train(progress=False)
    run.save_model()
    result = {
        "settings": run.description(),
        "parameters": sum(parameter.data.size for parameter in run.model.parameters()),
        "history": run.history,
        "times": read_json(folder / TIMES),
        "seconds": run.seconds,
        "tests": {},
        "robustness": {},
    }
    for title, spec in plan.test_sets.items():
        crops, _ = open_dataset(spec, plan.size, plan.tested, SEED)
        result["tests"][title] = evaluate(crops, run.model, progress=False)
    if name in ROBUSTNESS:
        for title, spec in plan.photo_sets(folder.parent / PHOTOS).items():
            result["robustness"][title] = robustness(spec, run.model, progress=False)
    return result


class WatchedRun(Run):
    """A Run that counts its steps, notes when its epochs end, and stops when it is told to or nobody waits for it.

    Attributes:
        stop, steps: an Event and a Value that the processes share.
    """

    def step(self, *batch):
        if self.stop.is_set() or not multiprocessing.parent_process().is_alive():
            self.save_checkpoint()
            raise Interrupted
        super().step(*batch)
        with self.steps.get_lock():
            self.steps.value += 1

    def end_epoch(self, stage):
        before = read_json(self.out / TIMES) or []
        write_json(self.out / TIMES, [*before[: self.epoch], self.seconds])
        super().end_epoch(stage)


def is_done(folder):
    return "failed" not in read_json(folder / RESULT, CRASHED)


def write_json(path, content):
    with written_by_rename(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path, default=None):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default
