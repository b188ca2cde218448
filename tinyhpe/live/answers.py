"""What the live page asks for: itself, the networks to choose from, a drawn head, and the poses in a picture."""

import contextlib
import functools
import io
import json
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tinyhpe.errors import InputError
from tinyhpe.heads import render_head
from tinyhpe.methods import load_model
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.prediction import MIDDLE, predict_heads

PAGE = Path(__file__).with_name("page.html").read_bytes()
LATEST = "runs/latest"
HEAD_SIDE, HEAD_MARGIN = 400, 0.9  # of a drawn head: pixels; free space on each side, in sides of the face's box
MOST_PIXELS = 4 * 10**6
SCAN = b"\xff\xda"  # begins a scan of a JPEG, and stands nowhere else in one that a browser made
BLANK = np.zeros((480, 640, 3), np.uint8)


class Refused(InputError):
    """A request without an answer; `status` is HTTP's."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Answers:
    """page, models, head and pose take a request's query, a dict, and its body; they return the answer's type and
    the answer.

    Args:
        own: the file or folder of one's own network, beside the shipped one; None: runs/latest
    """

    def __init__(self, own=None):
        self.own, self.model, self.version = Path(own or LATEST), None, None
        self.first = "own" if own else "shipped"
        self.drawing, self.posing = Turns(), Turns()
        for box in None, MIDDLE:  # the first time takes longer, so it is not a person's
            predict_heads(BLANK, box, self.own_model() if own else None)

    def own_model(self):
        """The network that somebody trains: read when it is asked for, and again when its file has changed."""
        file = self.own / "model.safetensors" if self.own.is_dir() else self.own
        try:
            status = file.stat()
        except OSError:
            hint = f"`tinyhpe train` makes one, in {LATEST} unless told otherwise"
            raise InputError(f"there is no network in {self.own}; {hint}") from None
        version = status.st_mtime_ns, status.st_size, status.st_ino
        if version != self.version:
            self.model, self.version = load_model(file), version
        return self.model

    def page(self, query, body):
        return "text/html; charset=utf-8", PAGE

    def models(self, query, body):
        return as_json({"own": str(self.own), "first": self.first})

    def head(self, query, body):
        try:
            seed, pose = int(query["seed"]), [round(float(query[angle]), 1) for angle in ANGLES]
        except (KeyError, ValueError):
            seed, pose = -1, []
        if not 0 <= seed < 10**6 or not all(abs(angle) <= 90 for angle in pose):
            raise InputError("give a seed from 0, and yaw, pitch and roll from -90 to 90: /head?seed=1&yaw=...")
        with self.drawing.take():
            return "image/jpeg", drawn_head(seed, *pose)

    def pose(self, query, body):
        with self.posing.take():
            begin = time.perf_counter()
            model = self.own_model() if query.get("model") == "own" else None
            heads = predict_heads(decode(body), model=model)
            milliseconds = 1000 * (time.perf_counter() - begin)
        return as_json({"heads": [head._asdict() for head in heads], "ms": round(milliseconds, 1)})


class Turns:
    """One works at a time, one waits: the newest. So no picture is old when its turn comes, and no queue grows."""

    def __init__(self):
        self.change, self.is_taken, self.newest = threading.Condition(), False, 0

    @contextlib.contextmanager
    def take(self):
        with self.change:
            self.newest = mine = self.newest + 1
            self.change.notify_all()
            self.change.wait_for(lambda: not self.is_taken or mine != self.newest)
            if self.is_taken:
                raise Refused(503, "somebody asked later; ask again")
            self.is_taken = True
        try:
            yield
        finally:
            with self.change:
                self.is_taken = False
                self.change.notify_all()


def as_json(value):
    return "application/json", json.dumps(value).encode()


@functools.lru_cache(maxsize=256)  # about 6 MB
def drawn_head(seed, *pose):
    """A head as a JPEG."""
    file = io.BytesIO()
    Image.fromarray(render_head(seed, HEAD_SIDE, pose, HEAD_MARGIN).image).save(file, "JPEG", quality=88)
    return file.getvalue()


def decode(jpeg):
    """The picture of a JPEG's bytes, as a browser's canvas makes it, as a PIL image; InputError for all else.

    Thousands of scans in one small file would keep a decoder busy for minutes.
    """
    try:
        picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        width, height = picture.size
        if jpeg.count(SCAN) == 1 and width * height <= MOST_PIXELS:
            picture.load()
            return picture
    except Exception as error:  # Pillow raises whatever a damaged file leads it to
        raise InputError(f"the picture is no JPEG, or damaged ({type(error).__name__})") from error
    raise InputError(f"give a baseline JPEG of one scan, and of at most {MOST_PIXELS // 10**6} million pixels")
