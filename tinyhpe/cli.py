"""The command line: parses, calls, prints. Errors of the user are one line and exit status 2."""

import argparse
import json
import os
import platform
import shlex
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from tinyhpe import backend, methods
from tinyhpe.datasets import open_dataset, rendered
from tinyhpe.datasets.crops import crop_photo, crop_size
from tinyhpe.datasets.loader import default_workers
from tinyhpe.datasets.photos import open_photo
from tinyhpe.errors import InputError
from tinyhpe.evaluation import evaluate
from tinyhpe.fast.cuda import cublas, kernels
from tinyhpe.files import cache_folder, written_by_rename
from tinyhpe.nn.resnet import NETWORKS, STEMS
from tinyhpe.pose.boxes import check_box, default_box, parse_box, square, testing_box
from tinyhpe.pose.draw import draw_axes
from tinyhpe.pose.levels import RANGE_DEGREES
from tinyhpe.pose.metrics import table
from tinyhpe.train.run import CHECKPOINT, Interrupted, Run, Settings, read_settings, split

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
EVALUATION_HEADS, EVALUATION_SEED = 1000, 10**6  # rendered heads that no default training sees
DATA_HELP = "rendered, 300wlp:PATH, aflw2000:PATH, pointing04:PATH or biwi:PATH"


class Parser(argparse.ArgumentParser):
    """argparse, but with errors of one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments=None):
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    options = make_parser().parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # a file name that the console cannot show
    try:
        problems = options.run(options)
        sys.stdout.flush()
    except InputError as error:
        problems = [str(error)]
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        problems = [
            f"{error.filename or 'output'}: {error.strerror}; check the path, its permissions and the disk"
        ]
    except MemoryError:
        problems = ["out of memory; use a smaller --input-size, --batch-size or --net"]
    except Interrupted:
        return say_interrupted(f"interrupted; go on with: tinyhpe train --resume --out {shlex.quote(options.out)}")
    except KeyboardInterrupt:
        return say_interrupted("interrupted; no file was left half-written")
    for problem in problems:
        print(f"tinyhpe: {problem}", file=sys.stderr)
    return 2 if problems else 0


def say_interrupted(message):
    print(f"tinyhpe: {message}", file=sys.stderr)
    return 130


def make_parser():
    parser = Parser(prog="tinyhpe", description="Head pose from nothing: train, evaluate, predict.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    add_train(commands)
    add_evaluate(commands)
    add_predict(commands)
    add_render(commands)
    add_bench(commands)
    doctor = commands.add_parser("doctor", help="what this machine can do, and why not")
    doctor.set_defaults(run=run_doctor)
    return parser


def add_train(commands):
    train = commands.add_parser("train", help="train a method", argument_default=argparse.SUPPRESS)
    train.add_argument("--method", choices=methods.METHODS, help="default: siamese")
    train.add_argument("--data", help=f"{DATA_HELP} (default: rendered)")
    train.add_argument("--heads", type=positive, help=f"how many heads to render (default: {Settings.heads})")
    train.add_argument("--net", dest="network", choices=NETWORKS, help="default: r18n")
    train.add_argument("--stem", choices=STEMS, help="default: 7x7; 3x3 is slower and keeps more detail")
    train.add_argument("--input-size", type=network_side, help=f"pixels (default: {Settings.input_size})")
    train.add_argument("--epochs", type=positive, help=f"in all stages together (default: {Settings.epochs})")
    train.add_argument("--batch-size", type=positive, help=f"default: {Settings.batch_size}")
    train.add_argument("--lr", type=learning_rate, help=f"first learning rate (default: {Settings.lr})")
    train.add_argument(
        "--balanced", action=argparse.BooleanOptionalAction, help="draw rare poses more often (default)"
    )
    train.add_argument("--seed", type=natural, help="default: 0")
    train.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    add_precision(train, argparse.SUPPRESS)
    train.add_argument("--out", default="runs/latest", help="folder of the run (default: runs/latest)")
    train.add_argument("--resume", action="store_true", default=False, help="go on from the checkpoint in --out")
    train.set_defaults(run=run_train)


def add_evaluate(commands):
    command = commands.add_parser("evaluate", help="mean absolute errors of a model on labelled data")
    command.add_argument(
        "model", nargs="?", help="model.safetensors or the folder of a run (default: the shipped one)"
    )
    command.add_argument(
        "--data", default="rendered", help=f"{DATA_HELP} (default: rendered, heads never trained on)"
    )
    command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    add_precision(command)
    command.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    command.set_defaults(run=run_evaluate)


def add_predict(commands):
    command = commands.add_parser("predict", help="the pose of the head in photos, drawn on them")
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, or folders of photos")
    command.add_argument("--model", help="model.safetensors or the folder of a run (default: the shipped one)")
    command.add_argument(
        "--box", help="x,y,w,h: the face, brows to chin, in pixels (default: in the middle of the photo)"
    )
    command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    add_precision(command)
    command.add_argument("--out", default="poses", help="folder for the photos with axes drawn (default: poses)")
    command.add_argument("--json", action="store_true", help="a JSON list instead of lines of text")
    command.set_defaults(run=run_predict)


def add_render(commands):
    command = commands.add_parser("render", help="heads from code, as images in 300W-LP's layout")
    command.add_argument("count", type=positive, metavar="N")
    command.add_argument("--out", required=True, help="folder to write to")
    command.add_argument("--size", type=positive, default=450, help="pixels (default: 450, as in 300W-LP)")
    command.add_argument("--seed", type=natural, default=0)
    command.set_defaults(run=run_render)


def add_bench(commands):
    command = commands.add_parser("bench", help="how fast it is here, beside torch where torch is installed")
    command.add_argument("--workload", metavar="NAME", help="one row or table (default: all, within ten minutes)")
    command.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="cuda: training steps on the GPU"
    )
    add_precision(command)
    command.add_argument("--json", action="store_true", help="one JSON object on standard output")
    command.set_defaults(run=run_bench)


def add_precision(command, default="float32"):
    command.add_argument(
        "--precision",
        choices=["float32", "tf32", "float16"],
        default=default,
        help="of matrix products with --device cuda (default: float32); tf32 needs an A100, an RTX 30 or newer",
    )


def set_precision(precision, device):
    """Switch TF32 or float16 on if it was asked for."""
    if precision == "float32":
        return
    if device == "cpu":
        raise InputError(f"--precision {precision} is for GPUs: add --device cuda")
    backend.use_precision(precision)


def number_type(kind, low, high, name):
    """An argparse type: numbers of a kind within [low, high]."""

    def parse(text):
        number = kind(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return number

    parse.__name__ = name  # argparse names it in its message
    return parse


positive = number_type(int, 1, 10**9, "whole number")
natural = number_type(int, 0, 2**31, "whole number")
network_side = number_type(int, 32, 1024, "whole number")
learning_rate = number_type(float, 1e-9, 1.0, "number")


def run_train(options):
    given = {f.name: getattr(options, f.name) for f in fields(Settings) if hasattr(options, f.name)}
    out = Path(options.out)
    if options.resume:
        settings = read_settings(out)
        for name, value in given.items():
            if value != getattr(settings, name):
                raise InputError(
                    f"the run in {out} was started with {name} {getattr(settings, name)}, not {value}: leave the "
                    "option out to resume it, or start another run with another --out"
                )
    else:
        settings = Settings(**given)
        if (out / CHECKPOINT).exists():
            raise InputError(f"{out} already holds a run: add --resume to go on with it, or choose another --out")
    set_precision(settings.precision, options.device)
    backend.device_module(options.device)
    make_folder(out)
    crops, problems = open_dataset(settings.data, crop_size(settings.input_size), settings.heads, settings.seed)
    training, validation = split(crops)
    run = Run(settings, training, out, options.device, default_workers(options.device))
    if options.resume:
        run.load_checkpoint()
    run.train()
    run.save_model()
    result, unread = evaluate(run.model, validation)
    run.save_report(result)
    print(f"{settings.method}, {len(training)} images, {settings.epochs} epochs, {run.seconds:.0f} s of training")
    print(f"{len(validation)} images kept out of training:\n{table(result)}")
    print(f"model, metrics and loss curves are in {out}")
    return problems + unread


def load(options):
    """The model that the options name, on their device, at their precision."""
    set_precision(options.precision, options.device)
    model, _ = methods.load_model(options.model or methods.SHIPPED_WEIGHTS)
    return model.to(options.device)


def run_evaluate(options):
    model = load(options)
    crops, problems = open_dataset(options.data, crop_size(model.input_size), EVALUATION_HEADS, EVALUATION_SEED)
    result, unread = evaluate(model, crops)
    if options.json:
        print(json.dumps(result))
    else:
        print(table(result))
        if crops.left_out:
            print(f"{crops.left_out} photos with an angle beyond {RANGE_DEGREES} degrees were left out")
    return problems + unread


def run_predict(options):
    box = None if options.box is None else parse_box(options.box)
    model, out = load(options), make_folder(Path(options.out))
    paths, problems = photo_paths(options.photos)
    results, names = [], {path.name for path in paths if path.parent.resolve() == out.resolve()}
    for path in paths:
        try:
            entry, picture = predict_photo(model, path, box)
        except InputError as error:
            problems.append(str(error))
            continue
        write_picture(picture, out, path, names)
        results.append(entry)
        if not options.json:
            print("{image}: yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f}".format(**results[-1]))
    if options.json:
        print(json.dumps(results))
    elif results:
        print(f"the photos with their axes are in {options.out}")
    return problems


def make_folder(folder):
    """Create the folder where results go, before the work starts, or raise InputError."""
    with written_by_rename(folder / ".tinyhpe") as probe:
        probe.touch()
    (folder / ".tinyhpe").unlink()
    return folder


def photo_paths(arguments):
    """The photos named, those in a named folder included; and a line for each folder without any."""
    paths, problems = [], []
    for path in map(Path, arguments):
        inside = [p for p in path.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES] if path.is_dir() else [path]
        if not inside:
            problems.append(f"no photos in {path}: give a folder with {', '.join(sorted(PHOTO_SUFFIXES))} files")
        paths += sorted(inside)
    return paths, problems


def predict_photo(model, path, face_box):
    """Predict one photo; returns its entry of the JSON list, and the photo with the axes drawn."""
    photo = open_photo(path)
    box = face_box or default_box(*photo.size)
    try:
        check_box(box, *photo.size)
        crop = crop_photo(photo, square(testing_box(box)), crop_size(model.input_size))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    pose = model.predict(crop[None])[0]
    if not np.isfinite(pose).all():
        raise InputError(f"{path}: the model answers {pose}; its weights are damaged, train it again")
    x, y, width, height = box
    picture = draw_axes(photo, pose, (x + width / 2, y + height / 2), max(width, height) / 2)
    yaw, pitch, roll = (round(float(angle), 2) for angle in pose)
    entry = {"image": str(path), "yaw": yaw, "pitch": pitch, "roll": roll, "box": [float(v) for v in box]}
    return entry, picture


def write_picture(picture, out, path, names):
    """Write the picture of a photo as NAME_pose.png, numbered where that is in `names`, the names in use."""
    name, number = f"{path.stem}_pose.png", 2
    while name in names:
        name, number = f"{path.stem}_pose_{number}.png", number + 1
    names.add(name)
    with written_by_rename(out / name) as temporary:
        picture.save(temporary)


def run_render(options):
    rendered.write_folder(options.count, Path(options.out), options.size, options.seed)
    print(f"{options.count} heads with poses, landmarks and depth are in {options.out}")
    return []


def run_bench(options):
    from tinyhpe import bench  # here, since it imports torch where torch is installed

    bench.clean_environment()
    set_precision(options.precision, options.device)
    on_gpu = options.device == "cuda"
    names = bench.cuda.TRAINED if on_gpu else (*bench.WORKLOADS, *bench.TABLES)
    if options.workload not in (None, *names):
        raise InputError(f"unknown workload {options.workload!r}: choose one of {', '.join(names)}")
    report = bench.printer(sys.stderr if options.json else sys.stdout)
    measure = bench.run_on_gpu if on_gpu else bench.run
    results = measure([options.workload] if options.workload else names, report)
    if options.json:
        print(json.dumps(results))
    else:
        print("\n" + "\n".join(f"{name:8} {value}" for name, value in results["machine"].items()))
    return []


def describe_gpu():
    """One line: what works, or why not."""
    cupy, reason = backend.probe_cuda()
    if cupy is None:
        return f"no: {reason}"
    try:
        kernels.cuda_module()
        cublas.cublas()
    except InputError as error:
        return f"works for CuPy, but not for us: {error}"
    return f"works, compute capability {backend.compute_capability(cupy)}"


def run_doctor(_):
    """Print what works here; never fails."""
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    print(f"python    {platform.python_version()} on {platform.platform()}")
    print(f"numpy     {np.__version__}")
    for library in blas:
        kernels = library.get("architecture", "unknown")
        print(f"blas      {library['internal_api']} {library['version']}, {kernels} kernels")
    print(f"cores     {os.cpu_count()}")
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if variable in os.environ:
            print(f"          {variable}={os.environ[variable]} is set, which changes the speed")
    print(f"gpu       {describe_gpu()}")
    print(f"kernels   {'can be tested without a GPU' if shutil.which('g++') else 'no g++: cannot be tested here'}")
    print(f"cache     {cache_folder()}")
    print(f"weights   {methods.SHIPPED_WEIGHTS if methods.SHIPPED_WEIGHTS.exists() else 'none are shipped'}")
    return []
