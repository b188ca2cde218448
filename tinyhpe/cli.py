"""The command line: parses, calls, prints. Errors of the user are one line and exit status 2."""

import argparse
import json
import os
import platform
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image

from tinyhpe import backend, methods
from tinyhpe.datasets import open_dataset, rendered
from tinyhpe.datasets.crops import check_box, crop_photo, default_box, parse_box, square, testing_box
from tinyhpe.datasets.photos import open_photo
from tinyhpe.errors import InputError
from tinyhpe.files import written_by_rename
from tinyhpe.nn.resnet import NETWORKS, STEMS
from tinyhpe.pose.draw import draw_axes
from tinyhpe.pose.levels import RANGE_DEGREES
from tinyhpe.pose.metrics import table
from tinyhpe.report import evaluate
from tinyhpe.train import CHECKPOINT, Interrupted, Run, Settings, read_settings, split

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
EVALUATION_HEADS, EVALUATION_SEED = 1000, 10**6  # rendered heads that no default training sees
DATA_HELP = "rendered, 300wlp:PATH, aflw2000:PATH or pointing04:PATH"


class Parser(argparse.ArgumentParser):
    """argparse, but with errors of one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments=None):
    """Run the command line; returns the exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    options = make_parser().parse_args(arguments)
    try:
        problems = options.run(options)
    except InputError as error:
        problems = [str(error)]
    except Interrupted:
        return say_interrupted(f"interrupted; go on with: tinyhpe train --resume --out {options.out}")
    except KeyboardInterrupt:
        return say_interrupted("interrupted; nothing was left half-written")
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
    train.add_argument("--input-size", type=positive, help=f"pixels (default: {Settings.input_size})")
    train.add_argument("--epochs", type=positive, help=f"in all stages together (default: {Settings.epochs})")
    train.add_argument("--batch-size", type=positive, help=f"default: {Settings.batch_size}")
    train.add_argument("--lr", type=float, help=f"first learning rate (default: {Settings.lr})")
    train.add_argument(
        "--balanced", action=argparse.BooleanOptionalAction, help="draw rare poses more often (default)"
    )
    train.add_argument("--seed", type=int, help="default: 0")
    train.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    train.add_argument("--out", default="runs/siamese", help="folder of the run (default: runs/siamese)")
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
    command.add_argument("--out", default="poses", help="folder for the photos with axes drawn (default: poses)")
    command.add_argument("--json", action="store_true", help="a JSON list instead of lines of text")
    command.set_defaults(run=run_predict)


def add_render(commands):
    command = commands.add_parser("render", help="heads from code, as images in 300W-LP's layout")
    command.add_argument("count", type=positive, metavar="N")
    command.add_argument("--out", required=True, help="folder to write to")
    command.add_argument("--size", type=positive, default=450, help="pixels (default: 450, as in 300W-LP)")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=run_render)


def positive(text):
    """argparse type: a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


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
    backend.device_module(options.device)
    crops, problems = open_dataset(settings.data, crop_size(settings.input_size), settings.heads, settings.seed)
    training, validation = split(crops)
    run = Run(settings, training, out, options.device)
    if options.resume:
        run.load_checkpoint()
    run.train()
    result, unread = evaluate(run.model, validation)
    run.finish(result)
    print(f"{settings.method}, {len(training)} images, {settings.epochs} epochs, {run.seconds:.0f} s of training")
    print(f"{len(validation)} images kept out of training:\n{table(result)}")
    print(f"model, metrics and loss curves are in {out}")
    return problems + unread


def crop_size(input_size):
    """Side of the crops of which the network sees a part: 300 for 224 as in the paper, others in proportion."""
    return round(input_size * 300 / 224)


def load(options):
    """The model that the options name, on their device."""
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
        if crops.dropped:
            print(f"{crops.dropped} photos with an angle beyond {RANGE_DEGREES} degrees were left out")
    return problems + unread


def run_predict(options):
    model, box = load(options), options.box and parse_box(options.box)
    results, problems = [], []
    for path in photo_paths(options.photos):
        try:
            results.append(predict_photo(model, path, box, Path(options.out)))
        except InputError as error:
            problems.append(str(error))
            continue
        if not options.json:
            print("{image}: yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f}".format(**results[-1]))
    if options.json:
        print(json.dumps(results))
    elif results:
        print(f"the photos with their axes are in {options.out}")
    return problems


def photo_paths(arguments):
    """The photos named, those in a named folder included."""
    for path in map(Path, arguments):
        inside = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES) if path.is_dir() else [path]
        )
        if not inside:
            raise InputError(f"no photos in {path}: give a folder with {', '.join(sorted(PHOTO_SUFFIXES))} files")
        yield from inside


def predict_photo(model, path, face_box, out):
    """Predict one photo and write it with its axes to `out`; returns the entry of the JSON list."""
    photo = open_photo(path)
    box = face_box or default_box(*photo.size)
    check_box(box, *photo.size)
    crop = square(testing_box(box))
    pose = model.predict(crop_photo(photo, crop, crop_size(model.input_size))[None])[0]
    x, y, width, height = box
    picture = draw_axes(photo, pose, (x + width / 2, y + height / 2), max(width, height) / 2)
    with written_by_rename(out / f"{path.stem}.png") as temporary:
        Image.fromarray(np.asarray(picture)).save(temporary)
    yaw, pitch, roll = (round(float(angle), 2) for angle in pose)
    return {"image": str(path), "yaw": yaw, "pitch": pitch, "roll": roll, "box": [float(v) for v in box]}


def run_render(options):
    rendered.write_folder(options.count, Path(options.out), options.size, options.seed)
    print(f"{options.count} heads with poses, landmarks and depth are in {options.out}")
    return []


def run_doctor(_):
    """Print what works here; never fails."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    cupy, reason = backend.probe_cuda()
    print(f"python    {platform.python_version()} on {platform.platform()}")
    print(f"numpy     {np.__version__} with {blas['name']} {blas['version']}")
    print(f"cores     {os.cpu_count()}")
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if variable in os.environ:
            print(f"          {variable}={os.environ[variable]} is set, which changes the speed")
    print(f"gpu       {'works' if cupy else 'no: ' + reason}")
    print(f"cache     {rendered.cache_folder()}")
    print(f"weights   {methods.SHIPPED_WEIGHTS if methods.SHIPPED_WEIGHTS.exists() else 'none are shipped'}")
    return []
