"""Training: a Run, with its Settings, in a folder."""

from tinyhpe.interrupts import Interrupted
from tinyhpe.train.checkpoint import CHECKPOINT, read_settings
from tinyhpe.train.run import Run
from tinyhpe.train.settings import Settings, split

__all__ = ["CHECKPOINT", "Interrupted", "Run", "Settings", "read_settings", "split"]
