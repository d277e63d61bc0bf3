"""How often chunks are decoded when few of them are kept."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from triptych.tiles.mosaic import Mosaic
from triptych.tiles.slide import Slide
from triptych.tiles.windows import Windows, slide_order, stream

CHUNK = 32


def counted(
    monkeypatch, rows: int, columns: int, kept: int, chunk_px=(CHUNK, CHUNK)
) -> tuple[Slide, Counter]:
    """A slide whose chunks say where they are, of which few are kept."""
    monkeypatch.setattr("triptych.tiles.mosaic.KEPT_BYTES", kept * 3 * chunk_px[0] * chunk_px[1])
    decoded: Counter = Counter()

    def decode(row, column):
        decoded[row, column] += 1
        return np.full((*chunk_px, 3), (row, column, 7), np.uint8)

    shape = (rows * chunk_px[0], columns * chunk_px[1])
    return Slide(shape, Mosaic(shape, chunk_px, decode).region, chunk_px=chunk_px), decoded


def touched(slide: Slide, centres: np.ndarray, side: int) -> int:
    height, width = slide.shape_px
    tall, wide = slide.chunk_px
    left, top = np.floor(centres - side / 2 + 0.5).astype(int).T
    found = set()
    for x in (left, left + side - 1):
        for y in (top, top + side - 1):
            inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
            found |= set(zip((y[inside] // tall).tolist(), (x[inside] // wide).tolist(), strict=True))
    return len(found)


def consume(slide, centres, side):
    """Stream, and compare the middle of each window with the chunk in which it lies."""
    height, width = slide.shape_px
    for indices, pixels in stream(slide, Windows(centres, float(side), side), 64):
        x, y = (np.floor(centres[indices] - side / 2 + 0.5).astype(int) + side // 2).T
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        middle = pixels[inside, side // 2, side // 2]
        np.testing.assert_array_equal(middle[:, 0], y[inside] // slide.chunk_px[0])
        np.testing.assert_array_equal(middle[:, 1], x[inside] // slide.chunk_px[1])


def scatter(slide, n):
    height, width = slide.shape_px
    return np.random.default_rng(0).uniform(0, (width, height), (n, 2))


def test_each_chunk_once_when_two_rows_are_kept(monkeypatch):
    slide, decoded = counted(monkeypatch, rows=40, columns=50, kept=2 * 52)
    centres = scatter(slide, 20_000)
    consume(slide, centres, 9)
    assert len(decoded) == touched(slide, centres, 9) == 2000
    assert set(decoded.values()) == {1}


@pytest.mark.parametrize("side", [9, 32])
def test_wide_slides_are_read_column_by_column(monkeypatch, side):
    """Two rows of 200 chunks are not kept, but two of 22 are."""
    slide, decoded = counted(monkeypatch, rows=20, columns=200, kept=2 * 24)
    centres = scatter(slide, 20_000)
    consume(slide, centres, side)
    assert len(decoded) == touched(slide, centres, side)
    assert sum(decoded.values()) <= 1.05 * len(decoded)


def test_windows_taller_than_chunks(monkeypatch):
    side = 5 * CHUNK // 2  # reaches over three more rows
    slide, decoded = counted(monkeypatch, rows=30, columns=20, kept=4 * 24)
    consume(slide, scatter(slide, 2000), side)
    assert len(decoded) == 600
    assert sum(decoded.values()) <= 1.05 * 600


def test_strips(monkeypatch):
    slide, decoded = counted(monkeypatch, rows=100, columns=1, kept=12, chunk_px=(8, 640))
    consume(slide, scatter(slide, 3000), 16)
    assert set(decoded.values()) == {1}


def test_order_is_a_permutation_that_does_not_depend_on_the_one_given():
    rng = np.random.default_rng(1)
    origins = rng.integers(-20, 4000, (500, 2))
    shuffled = rng.permutation(500)
    order = slide_order(origins, 30.0, (64, 64))
    assert sorted(order.tolist()) == list(range(500))
    other = origins[shuffled][slide_order(origins[shuffled], 30.0, (64, 64))]
    np.testing.assert_array_equal(origins[order], other)


def test_windows_over_the_left_border_do_not_come_apart(monkeypatch):
    slide, decoded = counted(monkeypatch, rows=30, columns=10, kept=24)
    height = slide.shape_px[0]
    y = np.linspace(1, height - 1, 400)
    centres = np.stack([np.tile([1.0, 40.0], 200), y], axis=1)  # every other one begins left of the slide
    consume(slide, centres, 20)
    assert set(decoded.values()) == {1}
