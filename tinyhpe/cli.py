"""The command line: parses, calls, prints. Errors of the user are one line and exit status 2.

Each command imports what it alone needs: so the pose of one photo is there within a second.
"""

import argparse
import json
import shlex
import signal
import sys
from pathlib import Path

from tinyhpe import backend, methods
from tinyhpe.datasets import SPECS
from tinyhpe.description import RANGES
from tinyhpe.errors import InputError
from tinyhpe.files import make_folder
from tinyhpe.interrupts import interrupts_handled_by
from tinyhpe.nn.resnet import NETWORKS, STEMS
from tinyhpe.terminal import safe_streams, visible

MODEL_HELP = "model.safetensors or the folder of a run (default: the shipped one)"
FEW_PHOTOS = 20  # are done before one has read a progress bar


class Parser(argparse.ArgumentParser):
    """argparse, but with errors of one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {visible(message)}; see {self.prog} --help\n")


def main(arguments=None):
    """Run the command line; returns the exit status: 0, 2 for bad input or lost output, 130 for Ctrl-C."""
    with safe_streams() as output:
        status, problems = run(sys.argv[1:] if arguments is None else arguments)
        output.flush()
        if output.failure and not isinstance(output.failure, BrokenPipeError):  # a reader that has gone had enough
            problems = [*problems, f"standard output: {output.failure.strerror}; what was printed is lost"]
        for problem in problems:
            print(f"tinyhpe: {visible(problem)}", file=sys.stderr)
        return 2 if problems and not status else status


def run(arguments):
    """Do what the arguments say; returns (exit status, a line for each problem)."""
    try:
        with interrupts_handled_by(signal.default_int_handler):
            options = make_parser(arguments[:1]).parse_args(arguments)
            return 0, options.run(options)
    except SystemExit as end:  # argparse has said what it had to say
        return end.code, []
    except KeyboardInterrupt as interrupt:
        return 130, [str(interrupt) or "interrupted; no file was left half-written"]
    except (InputError, OSError, MemoryError, ImportError) as error:
        return 2, [reason(error)]


def reason(error):
    """What went wrong, in one line for the user."""
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}; check the path, permissions and disk"
    if isinstance(error, MemoryError):
        return "out of memory; close other programs, or train with a smaller --input-size, --batch-size or --net"
    if isinstance(error, ImportError):
        return f"{error}: a library is not installed well, or memory ran out; see pip check, and ulimit -v"
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def make_parser(chosen=()):
    """The parser, with the options of the chosen commands."""
    parser = Parser(prog="tinyhpe", description="Head pose from nothing: train, evaluate, predict.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for name, (run, add_options, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        if name in chosen:
            add_options(command)
    return parser


def add_train(command):
    from tinyhpe.train import Settings

    command.argument_default = argparse.SUPPRESS  # what is not given is not among the options
    command.add_argument(
        "--method", choices=methods.METHODS, help=f"default: {Settings.method}; siamese is the paper's"
    )
    balanced = argparse.BooleanOptionalAction
    command.add_argument("--balanced", action=balanced, help="draw rare poses more often (default: not)")
    command.add_argument("--seed", type=natural, help="default: 0")
    add_training(command, Settings.heads, Settings.input_size, Settings.epochs)
    command.add_argument("--out", default="runs/latest", help="folder of the run (default: runs/latest)")
    command.add_argument("--resume", action="store_true", default=False, help="go on from the checkpoint in --out")


def add_training(command, heads, input_size, epochs):
    """The options of one training and of many; the numbers are their defaults."""
    command.add_argument("--data", help=f"{SPECS} (default: rendered)")
    command.add_argument("--heads", type=positive, help=f"how many heads to render (default: {heads})")
    command.add_argument("--net", dest="network", choices=NETWORKS, help="default: r18n")
    command.add_argument("--stem", choices=STEMS, help="default: 7x7; 3x3 is slower and keeps more detail")
    command.add_argument("--input-size", type=network_side, help=f"pixels (default: {input_size})")
    command.add_argument("--epochs", type=positive, help=f"in all stages together (default: {epochs})")
    command.add_argument("--batch-size", type=positive, help="default: 32")
    command.add_argument("--lr", type=learning_rate, help="first learning rate (default: the method's)")
    command.add_argument("--init", metavar="FILE", help="weights to start from, of `train` or a published ResNet")
    add_device(command, argparse.SUPPRESS)


def add_reproduce(command):
    from tinyhpe.reproduce import FULL, QUICK

    command.argument_default = argparse.SUPPRESS
    command.add_argument("--quick", action="store_true", default=False, help="in ten minutes, all of it smaller")
    command.add_argument("--seeds", type=positive, help=f"{FULL['seeds']}, or quick {QUICK['seeds']}")
    command.add_argument("--test", action="append", help=f"also test on: {SPECS}; may be given several times")
    numbers = [f"{FULL[name]}, or quick {QUICK[name]}" for name in ("heads", "input_size", "epochs")]
    add_training(command, *numbers)
    command.add_argument("--out", default="runs/reproduce", help="folder of it all (default: runs/reproduce)")


def add_evaluate(command):
    command.add_argument("model", nargs="?", help=MODEL_HELP)
    command.add_argument("--data", default="rendered", help=f"{SPECS} (default: rendered, heads never trained on)")
    kind = command.add_mutually_exclusive_group()
    kind.add_argument("--robustness", action="store_true", help="also on blurred, dark, noisy, ... photos")
    kind.add_argument("--found", action="store_true", help="of the heads that are found, without labelled boxes")
    add_device(command)
    command.add_argument("--json", action="store_true", help="one JSON object instead of the table")


def add_predict(command):
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, or folders of photos")
    command.add_argument("--model", help=MODEL_HELP)
    command.add_argument("--box", help="x,y,w,h: the face, brows to chin, pixels; or middle (default: found)")
    add_device(command)
    command.add_argument("--out", default="poses", help="folder for the photos with axes drawn (default: poses)")
    command.add_argument("--no-draw", dest="draw", action="store_false", help="write no pictures")
    command.add_argument("--json", action="store_true", help="a JSON list instead of lines of text")


def add_live(command):
    from tinyhpe.live import PORT

    command.add_argument("--port", type=natural, help=f"default: {PORT}, or the next that is free")
    command.add_argument("--model", help="your own network, beside the shipped one (default: runs/latest)")
    command.add_argument("--no-browser", dest="browser", action="store_false", help="do not open the page")


def add_render(command):
    command.add_argument("count", type=positive, metavar="N")
    command.add_argument("--out", required=True, help="folder to write to")
    command.add_argument("--size", type=positive, default=450, help="pixels (default: 450, as in 300W-LP)")
    command.add_argument("--seed", type=natural, default=0)


def add_lesson(command):
    command.add_argument("number", type=positive, metavar="N")
    command.add_argument(
        "--fresh", action="store_true", help="begin anew; the old copy is kept under another name"
    )


def add_class(command):
    command.add_argument("folder", metavar="FOLDER", help="with the answers.jsonl of each student in a folder")


def add_bench(command):
    command.add_argument("--workload", metavar="NAME", help="one row or table (default: all, within ten minutes)")
    add_device(command)
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")


def add_device(command, default_precision="float32"):
    command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    command.add_argument(
        "--precision",
        choices=["float32", "tf32", "float16"],
        default=default_precision,
        help="of matrix products with --device cuda (default: float32); tf32 needs an A100, an RTX 30 or newer",
    )


def set_precision(precision, device):
    """Switch TF32 or float16 on if it was asked for."""
    if precision == "float32":
        return
    if device == "cpu":
        raise InputError(f"--precision {precision} is for GPUs: add --device cuda")
    from tinyhpe.fast.cuda.precision import use_precision

    use_precision(precision)


def number_type(kind, low, high, name):
    """An argparse type: numbers of a kind within [low, high]."""

    def parse(text):
        number = kind(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return number

    parse.__name__ = name  # argparse names it in its message
    return parse


positive = number_type(int, *RANGES["heads"], "whole number")
natural = number_type(int, *RANGES["seed"], "whole number")
network_side = number_type(int, *RANGES["input_size"], "whole number")
learning_rate = number_type(float, *RANGES["lr"], "number")


def run_train(options):
    from dataclasses import fields, replace

    from tinyhpe.files import locked
    from tinyhpe.train import CHECKPOINT, Settings, read_settings

    given = {f.name: getattr(options, f.name) for f in fields(Settings) if hasattr(options, f.name)}
    out = Path(options.out)
    if options.resume:
        settings = read_settings(out)
        settings = replace(settings, data=given.pop("data", settings.data))  # which may have moved
        for name, value in given.items():
            if value != getattr(settings, name):
                raise InputError(
                    f"the run in {out} was started with {name} {getattr(settings, name)}, not {value}: leave the "
                    "option out to resume it, or start another run with another --out"
                )
    else:
        settings = Settings(**given)
    set_precision(settings.precision, options.device)
    backend.device_module(options.device)
    with locked(make_folder(out)):
        if not options.resume and (out / CHECKPOINT).exists():
            raise InputError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
        try:
            return train(out, settings, options)
        except KeyboardInterrupt:
            if not (out / CHECKPOINT).exists():
                raise
            go_on = shlex.join(["tinyhpe", "train", "--resume", "--out", options.out])
            raise KeyboardInterrupt(f"interrupted; go on with: {go_on}") from None


def train(out, settings, options):
    """Train in the folder `out`, which is ours alone; returns a line for each file that could not be used."""
    from tinyhpe.datasets import open_dataset
    from tinyhpe.datasets.crops import crop_size
    from tinyhpe.datasets.loader import default_workers
    from tinyhpe.evaluation import evaluate
    from tinyhpe.pose.metrics import table
    from tinyhpe.train import Run, split

    method, side = methods.find(settings.method), crop_size(settings.input_size)
    wanted = {"sees": method.sees, "learns": method.learns}
    crops, problems = open_dataset(settings.data, side, settings.heads, settings.seed, **wanted)
    training, validation = split(crops)
    run = Run(settings, training, out, options.device, default_workers(options.device))
    if options.resume:
        run.load_checkpoint()
    run.train()
    run.save_model()
    result = evaluate(validation, run.model)
    run.save_report(result)
    print(f"{settings.method}, {len(training)} images, {settings.epochs} epochs, {run.seconds:.0f} s of training")
    print(f"{len(validation)} images kept out of training:\n{table(result)}")
    print(f"model, metrics and loss curves are in {visible(options.out)}")
    return problems + result["problems"]


def run_reproduce(options):
    from tinyhpe.files import locked
    from tinyhpe.reproduce import make_plan, run_all, write_report

    plan = make_plan(vars(options))
    set_precision(plan.settings.precision, options.device)
    backend.device_module(options.device)
    with locked(out := make_folder(options.out)):
        results, problems = run_all(plan, out)
        report = write_report(plan, results, out)
    print(f"the trainings are done; {visible(str(report))} tells what they say")
    return problems


def load(options):
    """The model that the options name, on their device, at their precision."""
    set_precision(options.precision, options.device)
    return methods.load_model(options.model or methods.SHIPPED_WEIGHTS).to(options.device)


def run_evaluate(options):
    from tinyhpe.evaluation import evaluate, evaluate_found, finder_line, robustness, robustness_table
    from tinyhpe.pose.levels import RANGE_DEGREES
    from tinyhpe.pose.metrics import table

    if options.robustness:
        results = robustness(options.data, load(options))
        print(json.dumps(results) if options.json else robustness_table(results))
        return results["none"]["problems"]
    result = (evaluate_found if options.found else evaluate)(options.data, load(options))
    print(json.dumps(result) if options.json else table(result))
    if options.found and not options.json:
        print(finder_line(result))
    if result["left_out"] and not options.json:
        print(f"{result['left_out']} photos with an angle beyond {RANGE_DEGREES} degrees were left out")
    return result["problems"]


def run_predict(options):
    from tinyhpe.pictures import photo_paths, write_picture
    from tinyhpe.pose.boxes import parse_box
    from tinyhpe.prediction import MIDDLE, nothing_found, predict_photo
    from tinyhpe.progress import ProgressBar

    box = options.box if options.box in (None, MIDDLE) else parse_box(options.box)
    model, entries = load(options), []
    paths, problems = photo_paths(options.photos)
    out = make_folder(options.out) if options.draw and paths else None
    with ProgressBar(paths, "predict", unit="photo", disable=len(paths) < FEW_PHOTOS, leave=False) as bar:
        for path in bar:
            photo = None  # before the next one comes: two large ones are too much
            try:
                heads, photo = predict_photo(path, box, model)
                if not heads:
                    problems.append(nothing_found(path))
                    continue
                entries += [{"image": str(path), **head._asdict()} for head in heads]
                for head in heads:
                    if not options.json:
                        with bar.external_write_mode():  # the bar stays below the lines
                            print(f"{visible(str(path))}: {head}")
                    photo = head.draw(photo)
                if out:
                    write_picture(photo, path, out)
            except InputError as error:
                problems.append(str(error))
            except Exception as error:  # whatever it is, the other photos are done
                problems.append(f"{path}: {reason(error)}")
    if options.json:
        print(json.dumps(entries))
    elif entries and out:
        print(f"the photos with their axes are in {visible(options.out)}")
    return problems


def run_live(options):
    from tinyhpe.live import serve

    serve(options.port, options.model, options.browser)
    return []


def run_render(options):
    from tinyhpe.datasets import rendered

    rendered.write_folder(options.count, Path(options.out), options.size, options.seed)
    print(f"{options.count} heads with poses, landmarks and depth are in {visible(options.out)}")
    return []


def run_bench(options):
    set_precision(options.precision, options.device)
    from tinyhpe import bench

    bench.clean_environment()
    names, measure = (*bench.WORKLOADS, *bench.TABLES), bench.run
    if options.device == "cuda":
        from tinyhpe.bench import cuda

        names, measure = cuda.TRAINED, cuda.run
    if options.workload not in (None, *names):
        raise InputError(f"unknown workload {options.workload!r}: choose one of {', '.join(names)}")
    report = bench.printer(sys.stderr if options.json else sys.stdout)
    results = measure([options.workload] if options.workload else names, report)
    if options.json:
        print(json.dumps(results))
    else:
        print("\n" + "\n".join(f"{name:8} {value}" for name, value in results["machine"].items()))
    return []


def run_lesson(options):
    from tinyhpe import lesson

    notebook = lesson.copy_lesson(options.number, Path.cwd(), options.fresh)
    how = lesson.open_notebook(notebook) if sys.stdout.isatty() else ""
    print(f"{notebook.name} is in this folder{how}")
    return []


def run_class(options):
    from tinyhpe.lesson import lessons_folder

    sys.path.insert(0, str(lessons_folder()))  # what reads the answers lies beside what writes them
    from checks.standing import report

    print("\n".join(report(options.folder)))
    return []


def run_doctor(_):
    from tinyhpe import doctor

    print("\n".join(map(visible, doctor.report())))
    return []


COMMANDS = {  # name -> (what it does, its options, their help)
    "train": (run_train, add_train, "train a method"),
    "reproduce": (run_reproduce, add_reproduce, "the paper's figures and Table 1, as a report"),
    "evaluate": (run_evaluate, add_evaluate, "mean absolute errors of a model on labelled data"),
    "predict": (run_predict, add_predict, "the poses of the heads in photos, drawn on them"),
    "live": (run_live, add_live, "the pose of heads before the camera, as a page in the browser"),
    "render": (run_render, add_render, "heads from code, as images in 300W-LP's layout"),
    "lesson": (run_lesson, add_lesson, "copy a lesson here, and open it in Jupyter"),
    "class": (run_class, add_class, "who stands where in the lessons, and which mistakes are commonest"),
    "bench": (run_bench, add_bench, "how fast it is here, beside torch where torch is installed"),
    "doctor": (run_doctor, lambda command: None, "what this machine can do, and why not"),
}
