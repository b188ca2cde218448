"""tinyhpe.predict: whatever a notebook calls a photo gives the same pose, or one sentence."""

import threading

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

import tinyhpe
from tinyhpe import methods
from tinyhpe.blas import one_blas_thread
from tinyhpe.datasets.crops import crop_size
from tinyhpe.errors import InputError
from tinyhpe.heads import render_head
from tinyhpe.prediction import as_photo

# HopeNet's widening makes of this face, and square() of that, the whole of a photo of 196 x 196: so its crop is
# the photo itself, resized
SIDE, FACE = 196, (40, 59.6, 100, 100)


@pytest.fixture(scope="module")
def photo():
    return Image.fromarray(render_head((7, 3), SIDE).image)


@pytest.fixture(scope="module")
def expected(photo):
    model = tinyhpe.load_model()
    side = crop_size(model.input_size)
    return model.predict(np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR))[None])[0]


def test_the_pose_of_a_photo_is_the_models_for_the_crop_that_the_box_means(photo, expected, tmp_path):
    photo.save(tmp_path / "head.png")
    pose = tinyhpe.predict(tmp_path / "head.png", box=FACE)
    np.testing.assert_allclose(pose[:3], expected, atol=0.006)
    assert (pose.yaw, pose.pitch, pose.roll, pose.box) == tuple(pose)
    assert pose.box == FACE
    assert str(pose) == f"yaw {pose.yaw:.1f}, pitch {pose.pitch:.1f}, roll {pose.roll:.1f}"
    assert tinyhpe.predict(str(tmp_path / "head.png"), FACE, tinyhpe.load_model()) == pose
    assert tinyhpe.predict(str(tmp_path / "head.png"), FACE, methods.SHIPPED_WEIGHTS) == pose


SAME = {
    "PIL image": lambda photo, array: photo,
    "PIL image on its side, as EXIF says": lambda photo, array: turned(photo),
    "uint8": lambda photo, array: array,
    "floats from 0 to 1, skimage's": lambda photo, array: array / 255,
    "floats between two bytes": lambda photo, array: np.maximum(array - 0.4, 0) / 255,
    "float32": lambda photo, array: np.float32(array) / 255,
    "float16": lambda photo, array: np.float16(array / 255),
    "big-endian": lambda photo, array: (array / 255).astype(">f4"),
    "reversed views": lambda photo, array: array[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": lambda photo, array: np.asfortranarray(array),
    "RGBA": lambda photo, array: np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]),
    "PIL RGBA": lambda photo, array: photo.convert("RGBA"),
}


def turned(photo):
    """The photo turned left, and what EXIF says of that."""
    photo = photo.transpose(Image.Transpose.ROTATE_90)
    photo.getexif()[274] = 6
    return photo


@pytest.mark.parametrize("kind", SAME)
def test_what_a_notebook_calls_a_photo_has_the_same_pose(photo, expected, kind):
    same = SAME[kind](photo, np.asarray(photo))
    np.testing.assert_array_equal(as_photo(same), photo)
    np.testing.assert_allclose(tinyhpe.predict(same, FACE)[:3], expected, atol=0.006)


@pytest.mark.parametrize("grey", [lambda a: a, lambda a: a[:, :, None], Image.fromarray, lambda a: a / 255])
def test_a_grey_photo_is_one_of_three_equal_channels(photo, grey):
    values = np.asarray(photo)[:, :, 1]
    assert tinyhpe.predict(grey(values), FACE) == tinyhpe.predict(np.dstack([values] * 3), FACE)


def test_several_photos_give_a_list(photo):
    array, one = np.asarray(photo), tinyhpe.predict(photo)
    assert tinyhpe.predict([photo, array]) == [one, one]
    assert tinyhpe.predict(photo for _ in range(2)) == [one, one]
    assert tinyhpe.predict(np.stack([array] * 3)) == [one] * 3
    assert tinyhpe.predict(np.stack([array] * 2) / 255) == [one] * 2
    assert tinyhpe.predict([]) == []


REFUSED = {
    "float.* from 0.0 to 2": lambda array: array.astype(float),
    "float.* from -1.0 to": lambda array: array / 127.5 - 1,
    "float.* from nan": lambda array: array * np.nan,
    "uint16": lambda array: array.astype(np.uint16) * 257,
    "int64": lambda array: array.astype(np.int64),
    "bool": lambda array: array > 99,
    r"shape \(3, 196, 196\)": lambda array: array.transpose(2, 0, 1),
    r"shape \(588,\)": lambda array: array[0].ravel(),
    r"shape \(0, 0, 3\)": lambda array: array[:0, :0],
    "mask": lambda array: np.ma.masked_less(array, 3),
    "5x5 pixels are too few": lambda array: array[:5, :5],
    "NoneType is no photo": lambda array: None,
    "bytes|int is no photo": lambda array: b"photo.jpg",
    "list is no photo": lambda array: [[array]],
    "missing.jpg: no such file": lambda array: "missing.jpg",
    "a folder": lambda array: ".",
    "damaged|closed": lambda array: closed(Image.fromarray(array)),
}


def closed(image):
    image.close()
    return image


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_photo_is_refused_in_one_sentence(photo, message):
    with pytest.raises((InputError, TypeError), match=message) as caught:
        tinyhpe.predict(REFUSED[message](np.asarray(photo)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("box", [(1, 2, 3), 5, (1, 2, 3, "x"), (500, 0, 9, 9), (0, 0, np.nan, 9)])
def test_a_bad_box_is_refused_in_one_sentence(photo, box):
    with pytest.raises(InputError, match="the image: box"):
        tinyhpe.predict(photo, box)


def test_the_axes_are_drawn_on_a_copy_from_the_middle_of_the_face(photo):
    before, pose = np.array(photo), tinyhpe.predict(photo, FACE)
    drawn = np.asarray(pose.draw(np.asarray(photo)), int)
    np.testing.assert_array_equal(photo, before)
    rows, columns = np.nonzero(np.abs(drawn - before).sum(axis=2) > 30)
    assert 0 < np.hypot(rows - 109.6, columns - 90).max() < 65  # half the face is 50
    assert (np.hypot(rows - 109.6, columns - 90) < 3).any()


def test_a_model_that_answers_nan_is_refused(photo):
    model = tinyhpe.load_model()
    model.backbone.fc.bias.data[1] = np.nan
    with pytest.raises(InputError, match="the model answers nan; its weights are damaged"):
        tinyhpe.predict(photo, model=model)


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(2, "blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS has no two threads")
        yield


@pytest.mark.usefixtures("two_blas_threads")
def test_a_prediction_uses_one_blas_thread_and_gives_the_others_back(photo):
    model, seen = tinyhpe.load_model(), []
    model.decode = lambda outputs: seen.append(blas_threads()) or np.zeros((1, 3))
    tinyhpe.predict(photo, model=model)
    assert (seen, blas_threads()) == ([{1}], {2})


@pytest.mark.usefixtures("two_blas_threads")
def test_two_predictions_that_overlap_give_the_blas_threads_back():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        inside.wait(10)
        assert blas_threads() == {1}
    leave.set()
    thread.join()
    assert blas_threads() == {2}
