from collections import Counter

import numpy as np
import pandas as pd
import pytest

from triptych.readers.molecules import Tally, has_prefix
from triptych.readers.xenium_polygons import centroids


def naive(cells, genes, um):
    return Counter(zip(cells, genes, strict=True)), {
        cell: np.mean([p for c, p in zip(cells, um, strict=True) if c == cell], axis=0) for cell in set(cells)
    }


@pytest.mark.parametrize("pieces", [1, 3, 50])
@pytest.mark.parametrize("kind", ["category", "object", "number"])
def test_against_a_dictionary(rng, pieces, kind):
    cells = rng.integers(0, 9, 300)
    names = cells if kind == "number" else np.array([f"c{c}" for c in cells], dtype=object)
    genes = np.array([f"g{g}" for g in rng.integers(0, 5, 300)], dtype=object)
    um = rng.random((300, 2))
    tally = Tally()
    for part in np.array_split(np.arange(300), pieces):
        piece = pd.Series(names[part])
        tally.add(piece.astype("category") if kind == "category" else piece, pd.Series(genes[part]), um[part])
    number, means = naive(names, genes, um)
    assert tally.counts.sum() == 300
    for (cell, gene), count in number.items():
        assert tally.counts[tally.cells.get_loc(cell), tally.genes.get_loc(gene)] == count
    for cell, mean in means.items():
        np.testing.assert_allclose(tally.means[tally.cells.get_loc(cell)], mean)


def test_rows_of_other_cells(rng):
    tally = Tally()
    tally.add(list("aabd"), list("xyxx"))
    rows = tally.rows(pd.Index(list("dzca")))
    np.testing.assert_array_equal(rows.toarray(), [[1, 0], [0, 0], [0, 0], [1, 1]])
    assert rows.dtype.kind == "i"


def test_an_empty_piece_changes_nothing():
    tally = Tally()
    tally.add([], [], np.empty((0, 2)))
    tally.add(["a"], ["x"], np.array([[1.0, 2.0]]))
    tally.add([], [], np.empty((0, 2)))
    assert tally.counts.toarray().tolist() == [[1]]
    assert tally.means.tolist() == [[1, 2]]


def test_prefixes_whatever_the_case():
    names = pd.Index(["NegControlProbe_1", "BLANK_1", "Blank", "EPCAM"])
    assert has_prefix(names, ("negcontrol", "blank_")).tolist() == [True, True, False, False]


def shoelace(ring):
    area = x = y = 0.0
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        cross = ax * by - bx * ay
        area, x, y = area + cross / 2, x + (ax + bx) * cross, y + (ay + by) * cross
    return x / (6 * area), y / (6 * area), abs(area)


@pytest.mark.parametrize("closed", [False, True])
def test_centroids_against_a_loop(rng, closed):
    rings = []
    for vertices in (3, 4, 9):
        angle = np.sort(rng.random(vertices)) * 2 * np.pi
        ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(1, 5) + rng.uniform(0, 50, 2)
        rings.append(ring[:: rng.choice([-1, 1])])
    wanted = [shoelace(ring) for ring in rings]
    drawn = [np.vstack([ring, ring[:1]]) if closed else ring for ring in rings]
    code = np.repeat(np.arange(3), [len(ring) for ring in drawn])
    found = centroids(code, code, np.vstack(drawn))
    np.testing.assert_allclose(found.to_numpy(), wanted, rtol=1e-9)
    order = rng.permutation(3)  # vertices of other cells in between do not matter
    mixed = np.concatenate([np.flatnonzero(code == ring) for ring in order])
    np.testing.assert_allclose(centroids(code[mixed], code[mixed], np.vstack(drawn)[mixed]), found)


def test_far_from_the_origin_no_digit_is_lost():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]) + 1e6
    code = np.zeros(4, int)
    np.testing.assert_allclose(centroids(code, code, square), [[1e6 + 0.5, 1e6 + 0.5, 1]], rtol=1e-12)


def test_two_nuclei_weigh_by_area_and_a_line_has_a_middle():
    small = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    large = np.array([[10, 0], [12, 0], [12, 2], [10, 2.0]])
    line = np.array([[5, 5], [7, 5], [9, 5.0]])
    cell = np.repeat([0, 0, 1], [4, 4, 3])
    ring = np.repeat([0, 1, 2], [4, 4, 3])
    found = centroids(cell, ring, np.vstack([small, large, line]))
    np.testing.assert_allclose(found, [[(0.5 + 4 * 11) / 5, (0.5 + 4) / 5, 5], [7, 5, 0]])
