"""MATLAB's files of level 5 ("-v6", "-v7"), as far as labels need them: small arrays of numbers.

Behind a header of 128 bytes come elements, each with a tag: its type, and how many bytes it has. A variable is an
element of type MATRIX, which holds others: flags, shape, name, numbers. In "-v7" each is compressed with zlib.
(MathWorks, "MAT-File Format", chapter 1.)

A reader of our own: SciPy's believes what a file says of itself, so one changed bit may end Python without a word.
"""

import math
import struct
import zlib
from itertools import islice

import numpy as np

MATRIX, COMPRESSED = 14, 15
DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC_CLASSES = range(6, 16)  # double to uint64; others are text, cells, structures, ...
COMPLEX = 0x800
BEGINNING, MOST_BYTES = 256, 1 << 16  # of a variable: what is looked at to know its name; what is read if wanted


def read_mat(content, names):
    """The variables of some names in the content of a file, the first of each name.

    Returns:
        {name: NumPy array, or None where it holds no real numbers}

    Raises:
        ValueError or zlib.error: damaged, truncated, of another format, or a variable is larger than 64 kB.
    """
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(content[124:128])
    if order is None:
        raise ValueError("not of MATLAB's level 5")
    variables, place = {}, 128
    while place < len(content) and len(variables) < len(names):
        kind, start, end = read_tag(content, place, order)
        packed, matrix, place = content[start:end], content[place:end], end
        if kind == COMPRESSED:
            matrix = zlib.decompressobj().decompress(packed, BEGINNING)
        (_, flags), (_, shape), (_, name) = islice(parts(matrix, order), 3)
        if (name := name.decode("latin-1")) in names and name not in variables:
            if kind == COMPRESSED:
                matrix = zlib.decompressobj().decompress(packed, MOST_BYTES)
            variables[name] = numbers(matrix, flags, shape, order)
    return variables


def numbers(matrix, flags, shape, order):
    """The array of a variable with some flags and a shape, as bytes; None if it is not one of real numbers."""
    (flags, _), shape = struct.unpack(f"{order}II", flags), np.frombuffer(shape, f"{order}i4").tolist()
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX:
        return None
    *_, (kind, content) = islice(parts(matrix, order), 4)
    array = np.frombuffer(content, order + DTYPES.get(kind, "V"))
    if len(shape) > 8 or min(shape, default=-1) < 0 or array.size != math.prod(shape):
        raise ValueError("a shape that does not fit")
    return array.reshape(shape, order="F")


def parts(matrix, order):
    """Yield (type, bytes) of the elements in a variable."""
    place = 8
    while True:
        kind, start, end = read_tag(matrix, place, order)
        yield kind, matrix[start:end]
        place += -(-(end - place) // 8) * 8  # they begin at multiples of 8


def read_tag(data, place, order):
    """The type of the element at a place, and where its bytes begin and end."""
    if place + 8 > len(data):
        raise ValueError("truncated")
    kind, size = struct.unpack_from(f"{order}II", data, place)
    start = place + 8
    if kind >> 16:  # a small one: up to 4 bytes are in the tag
        kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
    if start + size > len(data) or (start == place + 4 and size > 4):
        raise ValueError("truncated")
    return kind, start, start + size
