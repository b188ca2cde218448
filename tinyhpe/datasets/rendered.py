"""Heads made from code as a data set: rendered once by all cores, kept on disk, read back as a memory map.

Image i of a seed is the same picture whatever the number of images and of workers: it has a random generator of
its own, started from (seed, i). So a longer set begins with the shorter one.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import tinyhpe.heads
import tinyhpe.pose
from tinyhpe.blas import one_blas_thread
from tinyhpe.datasets import processes
from tinyhpe.datasets.crops import HeadCrops, StoredImages
from tinyhpe.datasets.folders import read_text
from tinyhpe.errors import InputError
from tinyhpe.files import cache_folder, locked, make_folder, open_file, written_by_rename
from tinyhpe.heads import Head, render_head
from tinyhpe.pose.broad import broad_poses, sweep_poses
from tinyhpe.pose.metrics import ANGLES
from tinyhpe.pose.sampling import fig4_poses, photographed_poses
from tinyhpe.progress import ProgressBar

POSES = {  # data set -> how its poses are drawn
    "rendered": photographed_poses,
    "rendered-fig4": fig4_poses,
    "rendered-broad": broad_poses,
    **{f"rendered-{angle}": partial(sweep_poses, axis) for axis, angle in enumerate(ANGLES)},
}
CHUNK = 50  # heads that a worker renders at a time
SMALLEST, LARGEST = 16, 4096  # sides of an image in pixels
FOLDER_MARGIN = 0.85  # free space on each side of the face, in sides of its box: room for HopeNet's crop

CHECKSUM = ".crc32"  # what the name of the checksum beside each file of the cache ends with

# Depth as 16-bit PNG: 0 is no head, other values are 1 + (depth + DEPTH_OFFSET) * DEPTH_STEPS.
DEPTH_OFFSET, DEPTH_STEPS = 8.0, 4000.0

# What is kept of each head, in a file each: its name in Head; of pictures the type, and what follows (size, size)
# in their shape; of labels their shape.
PICTURES = {"images": ("image", np.uint8, (3,)), "depths": ("depth", np.float32, ())}
LABELS = {"poses": ("pose", (3,)), "landmarks": ("landmarks", (68, 2))}


def renderer_version() -> str:
    """Ten letters that change whenever the renderer does, so that no old picture is taken for a new one."""
    heads, pose = (Path(package.__file__).parent for package in (tinyhpe.heads, tinyhpe.pose))
    used = (pose / f"{name}.py" for name in ("angles", "boxes", "levels", "sampling"))
    sources = [*sorted(heads.glob("*.py")), *used]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:10]


def load(
    count: int,
    size: int,
    seed: int = 0,
    cache=None,
    workers: int | None = None,
    progress=True,
    data="rendered",
    sees="images",
    learns="poses",
) -> HeadCrops:
    """`count` head crops of size x size pixels; `data`, a name in POSES, says how their poses are distributed.

    The first call renders them (about 115 a second and core at 86 pixels) and keeps them in the folder `cache`
    (default: `cache_folder()`); later calls open the file. `workers` is the number of processes, by default one
    per core; `progress` shows a bar on standard error. `sees` is a name in PICTURES: with "depths" the crops'
    images are depth maps (N, size, size) float32 as Head has them. With `learns` "landmarks" the crops have
    landmarks. Raises InputError if the folder cannot be written, the disk is full, or the numbers make no sense.
    """
    _check(count, size, seed)
    folder = Path(cache) if cache is not None else cache_folder()
    entry = folder / f"{data}-{renderer_version()}-{size}px-seed{seed}-{count}"
    files = {kind: entry / f"{kind}.npy" for kind in (sees, *LABELS)}
    # files of before there were landmarks are good for who does not ask for them
    wanted = [(files[kind], _shape(kind, count, size)) for kind in sorted({sees, "poses", learns})]
    if not all(_is_whole(*file) for file in wanted):
        render_chunk = partial(_render_chunk, POSES[data], sees, seed, size)
        try:
            # a worker that runs its parent's script once more must not wait for its parent
            with locked(make_folder(entry), wait=multiprocessing.current_process().name == "MainProcess"):
                if not all(_is_whole(*file) for file in wanted):  # nobody has made it meanwhile
                    _write(files, render_chunk, count, size, workers, progress)
        except InputError as problem:
            if not isinstance(problem.__cause__, OSError):  # the folder is not to blame
                raise
            raise InputError(f"{problem}; the environment variable TINYHPE_CACHE names another folder") from None
    names = [_name(index) for index in range(count)]
    landmarks = np.load(files["landmarks"]) if learns == "landmarks" else None
    return HeadCrops(StoredImages(files[sees]), np.load(files["poses"]), names, landmarks=landmarks)


def _shape(kind, count, size):
    return count, *(LABELS[kind][1] if kind in LABELS else (size, size, *PICTURES[kind][2]))


def _is_whole(file, shape):
    """Whether a file is there, of a shape, and as it was written."""
    try:
        noted = read_text(file.with_suffix(CHECKSUM))
        return noted == _checksum(file) and np.load(file, mmap_mode="r").shape == shape
    except Exception:  # NumPy raises whatever a damaged file leads it to
        return False


def _checksum(file):
    checksum = 0
    with open_file(file, sys.maxsize) as content:
        while piece := content.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
    return f"{checksum:08x}"


def _check(count, size, seed):
    if count < 1:
        raise InputError(f"{count} heads cannot be rendered; ask for 1 or more")
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"a size of {size} pixels is outside {SMALLEST} to {LARGEST}; choose one in between")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; NumPy's generators start from 0, 1, 2, ...")


def _name(index):
    return f"head{index:05d}"


def _write(files, render_chunk, count, size, workers, progress):
    """Renders chunk by chunk and appends to the file, so that memory stays small. The checksums come last."""
    (pictures_file, pictures_kind), *_ = ((file, kind) for kind, file in files.items() if kind in PICTURES)
    labels = {kind: np.empty(_shape(kind, count, size), np.float32) for kind in LABELS}
    dtype = np.dtype(PICTURES[pictures_kind][1])
    header = {"descr": dtype.str, "fortran_order": False, "shape": _shape(pictures_kind, count, size)}
    with written_by_rename(pictures_file) as file:
        np.lib.format.write_array_header_1_0(file, header)
        done = 0
        for pictures, *chunk_labels in in_parallel(render_chunk, count, workers, progress):
            file.write(pictures)
            for label, of_chunk in zip(labels.values(), chunk_labels, strict=True):
                label[done : done + len(of_chunk)] = of_chunk
            done += len(pictures)
    for kind, label in labels.items():
        with written_by_rename(files[kind]) as file:
            np.save(file, label)
    for written in files.values():
        with written_by_rename(written.with_suffix(CHECKSUM)) as file:
            file.write(_checksum(written).encode())


def _render_chunk(draw_poses, sees, seed, size, indices):
    """Pictures, poses and landmarks of some heads."""
    heads = [render_head((seed, index), size, draw_poses=draw_poses) for index in indices]
    return [np.stack([getattr(head, name) for head in heads]) for name, *_ in (PICTURES[sees], *LABELS.values())]


def in_parallel(work, count, workers, progress):
    """Yields work(indices) for chunks of range(count), in order; in this process if one is enough."""
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    workers = min(workers or processes.cores(), len(chunks))
    with ProgressBar(total=count, desc="rendering", unit="head", disable=not progress) as bar:
        if workers == 1:
            for chunk in chunks:
                with one_blas_thread():
                    result = work(chunk)
                yield result
                bar.update(len(chunk))
            return
        with processes.workers(workers, work) as crew:
            results = processes.answers(crew, [(chunk,) for chunk in chunks], 2 * workers)
            for chunk, result in zip(chunks, results, strict=True):
                yield result
                bar.update(len(chunk))


# -------------------------------------------------------------------------------------------- a folder of photos


def write_folder(
    count: int, out, size: int = 450, seed: int = 0, workers: int | None = None, progress=True
) -> None:
    """Writes heads as files in 300W-LP's layout: for each, three files in the folder `out`.

    headNNNNN.jpg        size x size pixels, the face in the middle with room around it, as in 300W-LP
    headNNNNN.mat        Pose_Para (1, 7) float32: pitch, yaw, roll in RADIANS, then zeros for tx, ty, tz, scale;
                         pt2d (2, 68) float32: the landmarks in pixels
    headNNNNN_depth.png  16 bits: 0 where there is no head, else 1 + (depth + 8) * 4000, depth in eye distances
                         (see `read_depth`)

    Every file appears complete, the photo after its .mat. Raises InputError as `load` does.
    """
    _check(count, size, seed)
    work = partial(_write_chunk, Path(out), seed, size)
    for _ in in_parallel(work, count, workers, progress):
        pass
    if hasattr(os, "sync"):
        os.sync()  # to the disk, all at once: three times a head it would take half of the time


def _write_chunk(out, seed, size, indices):
    for index in indices:
        _write_head(render_head((seed, index), size, margin=FOLDER_MARGIN), out, _name(index))


def _write_head(head: Head, out, name):
    from scipy.io import savemat  # here, since training needs none of it

    yaw, pitch, roll = np.deg2rad(head.pose)
    parameters = np.array([[pitch, yaw, roll, 0, 0, 0, 0]], np.float32)
    with written_by_rename(out / f"{name}.mat", on_disk=False) as file:
        savemat(file, {"Pose_Para": parameters, "pt2d": head.landmarks.T})
    with written_by_rename(out / f"{name}_depth.png", on_disk=False) as file:
        Image.fromarray(_encode_depth(head.depth)).save(file, "PNG")
    with written_by_rename(out / f"{name}.jpg", on_disk=False) as file:
        Image.fromarray(head.image).save(file, "JPEG", quality=95)


def _encode_depth(depth):
    steps = 1 + np.round((depth + DEPTH_OFFSET) * DEPTH_STEPS)
    return np.where(np.isnan(depth), 0, np.clip(steps, 1, 65535)).astype(np.uint16)


def read_depth(path) -> np.ndarray:
    """The depth map (S, S) float32 of a headNNNNN_depth.png, in eye distances; NaN where there is no head."""
    steps = np.asarray(Image.open(path)).astype(np.float32)
    return np.where(steps > 0, (steps - 1) / DEPTH_STEPS - DEPTH_OFFSET, np.nan).astype(np.float32)
