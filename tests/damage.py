"""Damages files and reads them, in a process with a limit of memory: python -m tests.damage 1000 mat text jpeg

Prints a line for each kind, in JSON: how many were refused, and by how many MB the process has grown at most. What
ends the process, or raises anything but InputError, ends it here, too.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.test_biwi import add_frame
from tinyhpe import methods
from tinyhpe.datasets.biwi import load_biwi
from tinyhpe.datasets.photos import open_photo
from tinyhpe.datasets.w300lp import read_labels
from tinyhpe.errors import InputError
from tinyhpe.reproduce.trainings import read_json
from tinyhpe.train import CHECKPOINT, Settings, read_settings
from tinyhpe.train.checkpoint import write_checkpoint

VARIABLES = {"Pose_Para": np.arange(7.0).reshape(1, 7) / 5, "pt2d": np.arange(136.0).reshape(2, 68) + 0.5}
PHOTOS = {  # kind -> how Pillow is to save it
    "jpeg": {},
    "progressive": {"format": "JPEG", "progressive": True},
    "png": {},
    "gif": {},
    "bmp": {},
    "webp": {},
    "tiff": {},
    "deflated": {"format": "TIFF", "compression": "tiff_deflate"},
    "fax": {"format": "TIFF", "compression": "group4"},
}
HOSTILE = [b"nan", b"-inf", b"1e308", b"-1", b"0", b"1e-320", b"9" * 400, b"\0", b"[" * 9999, b"\xff", b""]
MORE_MEMORY = 300 << 20  # bytes


def damaged(rng, content):
    """A copy of some bytes with a few of them changed, a part gone, or cut off."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    if rng.random() < 0.2:
        start = rng.integers(len(content))
        del content[start : start + rng.integers(1, 100)]
    return bytes(content[: rng.integers(1, len(content))] if rng.random() < 0.1 else content)


def damaged_text(rng, content):
    """A copy in which a word is hostile; or as damaged() has it."""
    words = content.split(b" ")
    words[rng.integers(len(words))] = HOSTILE[rng.integers(len(HOSTILE))]
    return b" ".join(words) if rng.random() < 0.7 else damaged(rng, content)


def prepare(kind, folder):
    """Write a sound file of a kind; returns its path, where damage may be (None: anywhere), and how it is read."""
    if kind in PHOTOS:
        pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((300, 200)).convert("1" if kind == "fax" else "RGB")
        picture.save(folder / kind, **{"format": kind.upper()} | PHOTOS[kind])
        return folder / kind, None, lambda: open_photo(folder / kind)
    if kind in ("mat", "packed"):
        savemat(folder / "a.mat", VARIABLES, do_compression=kind == "packed")
        return folder / "a.mat", None, lambda: read_labels(folder / "a.mat", "300wlp")
    if kind == "text":
        path = add_frame(folder, 1, np.eye(3), (10, 20, 900))
        return path, None, lambda: load_biwi(folder, 32, progress=False)
    if kind == "json":
        (folder / "a.json").write_text(json.dumps({"heads": [1, 2.5], "data": "rendered"}))
        return folder / "a.json", None, lambda: read_json(folder / "a.json", {})
    path = folder / "model.safetensors"
    if kind == "checkpoint":
        path = folder / CHECKPOINT
        write_checkpoint(folder, Settings(), {"epoch": 1}, {"model": {"weight": np.zeros(9)}})
        return path, None, lambda: read_settings(folder)
    description = {"method": "direct", "network": "r18n", "stem": "7x7", "input_size": 32}
    methods.save_model(path, methods.build(**description), description)
    with open(path, "rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")  # of the numbers, which may all be right
    return path, begin, lambda: methods.load_model(path)


def limit_memory():
    """Allow this process only so much more than it has; where the system can."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MORE_MEMORY,) * 2)


def peak():
    """The most memory that this process has had, in MB; 0 where nobody can say."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return 0


def main(count, *kinds):
    limit_memory()
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            path, begin, read = prepare(kind, Path(folder))
            content, rng, refused, before = path.read_bytes(), np.random.default_rng(count), 0, peak()
            read()
            change = damaged_text if kind in ("text", "json") else damaged
            for _ in range(count):
                path.write_bytes(change(rng, content[:begin]) + (content[begin:] if begin else b""))
                try:
                    read()
                except InputError:
                    refused += 1
        print(json.dumps({"kind": kind, "refused": refused / count, "MB": peak() - before}))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
