"""Weight files: what is written is read by safetensors itself, and what is no weight file is named."""

import json
import pickle
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.weights import load_arrays
from tinyhpe.errors import InputError
from tinyhpe.weight_files import save_arrays

NUMBERS = np.arange(24, dtype=np.float32).reshape(2, 3, 4) + 0.5


@pytest.mark.parametrize(
    "array",
    [
        NUMBERS.transpose(2, 0, 1),
        NUMBERS[:, ::2, 1::2],
        NUMBERS[::-1, :, ::-1],
        np.asfortranarray(NUMBERS),
        NUMBERS.astype(">f4"),
        NUMBERS.astype(">f8").T,
        NUMBERS[1, 2, 3:].reshape(()),
        np.array(7, ">i4"),
        np.broadcast_to(NUMBERS[:1], (5, 3, 4)),
        NUMBERS[:0],
        np.float64(2.5),
        NUMBERS > 3,
        np.frombuffer(bytes(5) + NUMBERS.tobytes(), np.float32, offset=5),  # not aligned
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_a_file_holds_the_numbers_of_the_array_however_it_lies_in_memory(tmp_path, array):
    save_arrays(tmp_path / "w.safetensors", {"w": array}, {"what": "a test"})
    for read in load_file(tmp_path / "w.safetensors"), load_arrays(tmp_path / "w.safetensors")[0]:
        assert (read["w"].shape, read["w"].dtype.name) == (array.shape, array.dtype.name)
        assert read["w"].tolist() == array.tolist()


def test_a_masked_array_is_not_written_without_its_mask(tmp_path):
    with pytest.raises(TypeError, match="mask"):
        save_arrays(tmp_path / "w.safetensors", {"w": np.ma.masked_less(NUMBERS, 3)}, {})
    assert not list(tmp_path.iterdir())


def write_header(path, header, content=b""):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def write_dtype(path, dtype, size):
    write_header(path, {"layer.w": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}}, bytes(size))


def write_zip(path, name):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, b"numbers")


def write_numpy(path, save):
    with path.open("wb") as file:
        save(file, NUMBERS)


def truncate(path, size):
    header = {"w": {"dtype": "F32", "shape": [200], "data_offsets": [0, 800]}, "__metadata__": {}}
    header["__metadata__"]["tinyhpe"] = "x" * (0x0280 - len(json.dumps(header)) - len('"tinyhpe": ""'))
    write_header(path, header, bytes(800))
    content = path.read_bytes()
    assert content[:2] == b"\x80\x02"  # as a pickle begins
    path.write_bytes(content[:size])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_dtype(path, "F8_E4M3", 8), r"layer\.w is of F8_E4M3.*save it as float32"),
        (lambda path: write_dtype(path, "F8_E5M2", 8), r"layer\.w is of F8_E5M2.*save it as float32"),
        (lambda path: write_dtype(path, "BF16", 16), r"layer\.w is of BF16.*save it as float32"),
        (lambda path: write_dtype(path, "F99", 8), r"layer\.w is of F99"),
        *((lambda path, p=p: path.write_bytes(pickle.dumps([1.5] * 9, p)), "is a pickle") for p in (2, 3, 4, 5)),
        (lambda path: path.write_bytes(pickle.dumps([1], 2)), "is a pickle"),
        (lambda path: write_zip(path, "archive/data.pkl"), "is a pickle"),
        *(
            (lambda path, s=s: write_numpy(path, s), "a file of NumPy's")
            for s in (np.save, np.savez, np.savez_compressed)
        ),
        *((lambda path, n=n: truncate(path, n), "not a complete safetensors file") for n in (9, 100, 700, 1000)),
        (lambda path: write_header(path, {"__metadata__": {"tinyhpe": "[" * 10**5}}), "not a complete"),
        (lambda path: write_header(path, {"__metadata__": {"tinyhpe": "{'no': 'JSON'}"}}), "not a complete"),
        (lambda path: path.mkdir(), "cannot read the model"),
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "not a complete safetensors file"),
    ],
)
def test_what_is_no_weight_file_is_named_in_one_line(tmp_path, write, message):
    path = tmp_path / "model.safetensors"
    write(path)
    with pytest.raises(InputError, match=message) as caught:
        load_arrays(path)
    assert "\n" not in str(caught.value)


def test_the_advice_for_an_npz_works(tmp_path):
    np.savez(tmp_path / "weights.npz", w=NUMBERS)
    save_file(dict(np.load(tmp_path / "weights.npz")), tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load_arrays(tmp_path / "model.safetensors")[0]["w"], NUMBERS)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_arrays(path, {"w": np.ones(3, np.float32)}, {})
    before = path.read_bytes()

    def full_disk(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        save_arrays(path, {"w": np.zeros(3, np.float32)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
