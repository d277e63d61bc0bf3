import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.errors import DataError
from triptych.readers.affine import UNEVEN, read_affine, scale, scales, transform, unevenness


def written(tmp_path, text):
    path = tmp_path / "a_he_imagealignment.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("sep", [",", " ", "\t", ", ", ";"])
def test_reads_what_was_written(tmp_path, sep, rng):
    matrix = np.vstack([rng.normal(size=(2, 3)), [0, 0, 1]])
    text = "\n".join(sep.join(repr(float(v)) for v in row) for row in matrix)
    np.testing.assert_array_equal(read_affine(written(tmp_path, text)), matrix)


def test_a_byte_order_mark_and_blank_lines(tmp_path):
    text = "\ufeff2,0,1\n\n0,2,1\n0,0,1\n\n"
    assert read_affine(written(tmp_path, text))[0, 0] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"not an affine matrix of 3 × 3 numbers: it has shape \(0,\)"),
        ("1,0\n0,1", r"it has shape \(2, 2\)"),
        ("1,0,0\n0,1\n0,0,1", "not an affine matrix of 3 × 3 numbers"),
        ("fixedX,fixedY,a\n1,2,3\n4,5,6", "not an affine matrix of 3 × 3 numbers .*fixedX"),
        ("1,0,nan\n0,1,0\n0,0,1", "not an affine matrix of 3 × 3 numbers"),
        ("1,0,0\n0,1,0\n0.1,0,1", "is not affine: its last line is 0.1, 0, 1, not 0, 0, 1"),
        ("1,2,0\n2,4,0\n0,0,1", "has no inverse: it maps the plane to a line"),
        ("0,0,5\n0,0,5\n0,0,1", "has no inverse"),
    ],
)
def test_what_is_no_matrix(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_affine(written(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match=r"m.csv is not text"):
        read_affine(path)


@given(turn=st.floats(-4, 4), size=st.floats(0.01, 50), mirror=st.booleans(), shift=st.floats(-1e4, 1e4))
def test_similarities_are_even(turn, size, mirror, shift):
    linear = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirror:
        linear = linear @ np.diag([1, -1])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, shift
    assert scale(matrix) == pytest.approx(size)
    assert unevenness(matrix) < 1e-9
    points = np.array([[0.0, 0], [3, 4]])
    moved = transform(matrix, points)
    assert np.linalg.norm(moved[1] - moved[0]) == pytest.approx(5 * size)
    np.testing.assert_allclose(transform(np.linalg.inv(matrix), moved), points, atol=1e-6)


def test_stretch_is_measured():
    assert unevenness(np.diag([2.0, 2.1, 1])) == pytest.approx(0.05)
    assert unevenness(np.diag([2.0, 2.1, 1])) > UNEVEN
    assert scales(np.diag([-2.0, 3.0, 1])) == pytest.approx((3, 2))
