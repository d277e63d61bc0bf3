"""Crops against loops over all molecules and windows, and the errors at the door."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.core.errors import DataError
from triptych.core.protocols import Crops, Molecules
from triptych.maths import crops as crops_module
from triptych.maths import spots as spots_module
from triptych.maths.crops import Cropper, Spots, asked_for
from triptych.maths.spots import Banded

GENES = np.array(["a", "b", "c", "d"])
SHAPES = ((50, 70), (33, 41), (64, 20))  # of the stains of each section


def molecules_of(rng, m, size, cells):
    """Molecules on and around a picture; some on the edges of pixels, some at one place."""
    px = rng.uniform(-8, np.array(size[::-1]) + 8, (m, 2)).astype(np.float32)
    px[::5] = np.round(px[::5])
    px[1::7] = px[:1]
    cell = rng.choice(np.append(cells, -1), m) if len(cells) else np.full(m, -1)
    return Molecules(px, rng.integers(0, len(GENES), m).astype(np.int32), cell.astype(np.int32))


def made(seed=0, n=30, m=400, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    sample = rng.integers(0, len(SHAPES), n)
    sizes = np.array(SHAPES)[sample][:, ::-1]
    centres = rng.uniform(-5, sizes + 5, (n, 2))
    centres[::4] = np.floor(centres[::4]) + rng.choice([0, 0.5], (len(centres[::4]), 2))
    pixels = tuple(tuple(rng.integers(1, 250, shape).astype(dtype) for _ in "AB") for shape in SHAPES)
    found = tuple(molecules_of(rng, m, shape, np.flatnonzero(sample == s)) for s, shape in enumerate(SHAPES))
    return Crops(centres, sample, (0.5, 0.5, 0.2), ("DAPI", "PolyT"), pixels, GENES, found)


def corner(crops, row, side):
    return [floor(centre - side / 2 + 0.5) for centre in crops.centres_px[row]]


def within(crops, row, side, place):
    return all(0 <= floor(p) - c < side for p, c in zip(place, corner(crops, row, side), strict=True))


def naive_spots(crops, side, rows, *, own=False, genes=GENES):
    """Every molecule asked for every crop."""
    found = []
    for crop, row in enumerate(rows):
        x0, y0 = corner(crops, row, side)
        for place, gene, cell in zip(*vars(crops.molecules[crops.sample[row]]).values(), strict=True):
            if not np.isfinite(place).all() or (own and cell != row) or GENES[gene] not in genes:
                continue
            x, y = floor(place[0]) - x0, floor(place[1]) - y0
            if 0 <= x < side and 0 <= y < side:
                found.append((crop, list(genes).index(GENES[gene]), y, x))
    return sorted(found)


def naive_pixels(crops, side, rows, channels=(0, 1)):
    out = np.zeros((len(rows), len(channels), side, side), np.float32)
    for crop, row in enumerate(rows):
        x0, y0 = corner(crops, row, side)
        for c, channel in enumerate(channels):
            plane = crops.pixels[crops.sample[row]][channel]
            for i, j in np.ndindex(side, side):
                if 0 <= y0 + i < plane.shape[0] and 0 <= x0 + j < plane.shape[1]:
                    out[crop, c, i, j] = plane[y0 + i, x0 + j]
    return out


def listed(spots: Spots):
    assert all(part.dtype == np.int64 for part in vars(spots).values())
    assert (np.diff(spots.crop) >= 0).all()
    return sorted(zip(*(part.tolist() for part in vars(spots).values()), strict=True))


@pytest.mark.parametrize("side", [1, 2, 3, 7, 10, 25, 200])
@pytest.mark.parametrize("own", [False, True], ids=["all", "own"])
def test_spots_equal_a_loop_over_all_molecules(side, own):
    crops = made()
    rows = np.random.default_rng(1).permutation(30)
    cropper = Cropper(crops, side, molecules="own" if own else "all")
    expected = naive_spots(crops, side, rows, own=own)
    assert expected or side < 7
    assert listed(cropper.spots(rows)) == expected


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), side=st.integers(1, 40), own=st.booleans(), n=st.integers(0, 12),
    m=st.integers(0, 60), rows=st.lists(st.integers(0, 11), max_size=9),
)  # fmt: skip
def test_each_molecule_in_a_crop_is_found_once(seed, side, own, n, m, rows):
    crops, rows = made(seed, n, m), np.array([row for row in rows if row < n], int)  # rows may come twice
    cropper = Cropper(crops, side, molecules="own" if own else "all")
    assert listed(cropper.spots(rows)) == naive_spots(crops, side, rows, own=own)


def test_pieces_and_batches_change_nothing(monkeypatch):
    crops, rows = made(3), np.arange(30)
    whole = [Cropper(crops, 9, molecules=kind) for kind in ("all", "own")]
    expected = [(listed(one.spots(rows)), one.counted()) for one in whole]
    monkeypatch.setattr(spots_module, "PIECE", 17)
    monkeypatch.setattr(crops_module, "PIECE", 13)
    parts = [Cropper(crops, 9, molecules=kind) for kind in ("all", "own")]
    assert [(listed(one.spots(rows)), one.counted()) for one in parts] == expected
    for one in parts:
        singly = [listed(one.spots(np.array([row]))) for row in rows]
        together = listed(one.spots(rows))
        assert [(row, *rest) for row, found in enumerate(singly) for _, *rest in found] == together


def test_the_order_of_molecules_does_not_matter():
    crops = made()
    turned = tuple(Molecules(one.px[::-1], one.gene[::-1], one.cell[::-1]) for one in crops.molecules)
    first, second = (
        Cropper(one, 11).spots(np.arange(30)) for one in (crops, replace(crops, molecules=turned))
    )
    for name, part in vars(first).items():
        np.testing.assert_array_equal(part, getattr(second, name))


def test_a_crop_is_centred_to_half_a_pixel():
    place = np.array([[10.0, 20.0], [10.999, 20.999], [9.999, 20.0], [11.0, 20.0]], np.float32)
    alone = Molecules(place, np.zeros(4, np.int32), np.full(4, -1, np.int32))
    for side, centre, first in ((1, (10.5, 20.5), 0), (3, (10.5, 20.5), 1), (2, (11.0, 21.0), 0)):
        crops = Crops(np.array([centre]), np.zeros(1, int), (1.0,), genes=GENES, molecules=(alone,))
        spots = Cropper(crops, side).spots(np.array([0]))
        assert (first, first) in zip(spots.y.tolist(), spots.x.tolist(), strict=True)
        assert len(spots.x) == {1: 2, 2: 3, 3: 4}[side]


@pytest.mark.parametrize("side", [1, 4, 9, 80])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.float32, np.float64])
def test_pixels_equal_a_loop(side, dtype):
    crops, rows = made(dtype=dtype), np.array([4, 0, 29, 4, 17])
    found = Cropper(crops, side).pixels(rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, naive_pixels(crops, side, rows))


def test_stains_come_in_the_order_asked_for():
    crops, rows = made(), np.arange(6)
    turned = Cropper(crops, 8, stains=("PolyT", "DAPI"))
    assert turned.stains == ("PolyT", "DAPI")
    np.testing.assert_array_equal(turned.pixels(rows), naive_pixels(crops, 8, rows, (1, 0)))
    np.testing.assert_array_equal(
        Cropper(crops, 8, stains=("PolyT",)).pixels(rows), naive_pixels(crops, 8, rows, (1,))
    )


def test_pixels_of_a_memory_map(tmp_path):
    crops = made()
    mapped = []
    for s, section in enumerate(crops.pixels):
        for k, plane in enumerate(section):
            np.save(tmp_path / f"{s}{k}.npy", plane)
        mapped.append(tuple(np.load(tmp_path / f"{s}{k}.npy", mmap_mode="r") for k in range(2)))
    found = Cropper(replace(crops, pixels=tuple(mapped)), 12).pixels(np.arange(30))
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, naive_pixels(crops, 12, range(30)))


@pytest.mark.parametrize("own", [False, True], ids=["all", "own"])
def test_genes_by_name(own):
    crops, wanted = made(), np.array(["d", "never", "b"])
    cropper = Cropper(crops, 15, molecules="own" if own else "all", genes=wanted)
    expected = naive_spots(crops, 15, range(30), own=own, genes=["d", "never", "b"])
    assert {gene for _, gene, _, _ in expected} == {0, 2}
    assert list(cropper.genes) == list(wanted)
    assert listed(cropper.spots(np.arange(30))) == expected


def test_no_gene_in_use_gives_no_spots():
    cropper = Cropper(made(), 15, genes=np.empty(0, np.str_))
    assert listed(cropper.spots(np.arange(30))) == []
    assert cropper.counted().molecules == 0


@pytest.mark.parametrize("own", [False, True], ids=["all", "own"])
@pytest.mark.parametrize(
    "rows", [None, np.array([3, 8, 20]), np.empty(0, int)], ids=["every", "some", "none"]
)
@pytest.mark.parametrize("genes", [None, np.array(["c", "a"])], ids=["every", "two"])
def test_counted(own, rows, genes):
    crops, side = made(), 13
    counted = Cropper(crops, side, molecules="own" if own else "all", genes=genes).counted(rows)
    rows = range(30) if rows is None else rows.tolist()
    here = {crops.sample[row] for row in rows}
    known = {GENES.tolist().index(gene) for gene in (GENES if genes is None else genes)}
    total = shown = assigned = cut = 0
    for section in here:
        for place, gene, cell in zip(*vars(crops.molecules[section]).values(), strict=True):
            if gene not in known:
                continue
            holds = {row for row in rows if crops.sample[row] == section and within(crops, row, side, place)}
            total += 1
            shown += bool(holds & {cell} if own else holds)
            assigned += cell in rows
            cut += cell in rows and cell not in holds
    assert (counted.crops, counted.molecules) == (len(rows), total)
    assert (counted.in_no_crop, counted.assigned, counted.cut_off) == (total - shown, assigned, cut)
    assert not len(rows) or (cut and shown)
    beyond = 0
    for row in rows:
        (x, y), (height, width) = corner(crops, row, side), SHAPES[crops.sample[row]]
        beyond += x < 0 or y < 0 or x + side > width or y + side > height
    assert counted.beyond_image == beyond


def test_molecules_without_a_place_lie_in_no_crop():
    crops = made()
    lost = tuple(Molecules(one.px.copy(), one.gene, one.cell) for one in crops.molecules)
    lost[0].px[:6] = [[np.nan, 3], [np.inf, 3], [-np.inf, 3], [1e30, 3], [3, -1e30], [np.nan, np.nan]]
    crops = replace(crops, molecules=lost)
    for own in (False, True):
        cropper = Cropper(crops, 12, molecules="own" if own else "all")
        assert listed(cropper.spots(np.arange(30))) == naive_spots(crops, 12, range(30), own=own)
        assert cropper.counted().molecules == 1200


def test_molecules_without_stains_and_stains_without_molecules():
    crops, rows = made(), np.arange(5)
    bare = Cropper(replace(crops, stains=(), pixels=()), 9)
    assert bare.pixels(rows).shape == (5, 0, 9, 9)
    assert listed(bare.spots(rows)) == listed(Cropper(crops, 9).spots(rows))
    assert bare.counted().beyond_image == 0
    for kind in ("all", "own"):
        grey = Cropper(replace(crops, molecules=(), genes=np.empty(0, np.str_)), 9, molecules=kind)
        assert listed(grey.spots(rows)) == []
        assert (grey.counted().molecules, grey.counted().cut_off) == (0, 0)
        np.testing.assert_array_equal(grey.pixels(rows), Cropper(crops, 9).pixels(rows))


def test_a_section_without_cells():
    crops = made()
    crops = replace(crops, sample=np.where(crops.sample == 1, 0, crops.sample))
    none = tuple(replace(one, cell=np.full_like(one.cell, -1)) for one in crops.molecules)
    crops = replace(crops, molecules=none)
    assert listed(Cropper(crops, 9).spots(np.arange(30))) == naive_spots(crops, 9, range(30))


def test_eight_bytes_per_molecule():
    for kind in ("all", "own"):
        packed = Cropper(made(m=1000), 40, molecules=kind)._index.packed
        assert packed.itemsize == 8
        assert len(packed) <= 3000


def test_nothing_given_is_written_to():
    crops = made()
    for one in crops.molecules:
        for part in vars(one).values():
            part.setflags(write=False)
    Cropper(crops, 9).spots(np.arange(30))
    Cropper(crops, 9, molecules="own").counted()


def broken(**changes):
    return replace(made(), **changes)


def of_cells(cell):
    first, *others = made().molecules
    return (replace(first, cell=cell), *others)


@pytest.mark.parametrize(
    ("crops", "options", "words"),
    [
        (broken(centres_px=np.full((30, 2), np.nan)), {}, "30 of 30 centres are not finite"),
        (broken(centres_px=np.full((30, 2), 1e9)), {}, "30 of 30 centres lie beyond 16777216 px"),
        (broken(centres_px=np.zeros((30, 3))), {}, "they must be (n, 2) and (n,)"),
        (broken(sample=np.full(30, 3)), {}, "30 of 30 cells are of none of the 3 sections"),
        (broken(), {"side_px": 0}, "the side of a crop is 0 px; it must be at least 1"),
        (broken(), {"stains": ("GFP", "DAPI")}, "there is no stain GFP; there is DAPI, PolyT"),
        (broken(stains=("DAPI", "DAPI")), {}, "some stains are named twice: DAPI"),
        (broken(genes=np.array(["a", "b", "a", "b"])), {}, "some genes are named twice: a, b"),
        (broken(), {"genes": np.array(["a", "a"])}, "some genes wanted are named twice: a"),
        (broken(pixels=made().pixels[:2]), {}, "there are stains of 2 sections, of 3"),
        (broken(pixels=((), (), ())), {}, "section 0 has 0 channels for 2 stains"),
        (broken(molecules=made().molecules[:1]), {}, "there are molecules of 1 sections, of 3"),
        (broken(genes=GENES[:2]), {}, "the molecules of section 2 have genes 0 … 3, of 2"),
        (broken(molecules=made().molecules[::-1]), {}, "section 0 have cells of another section, or of none"),
        (
            broken(molecules=of_cells(np.full(400, 30))), {},
            "section 0 have cells of another section, or of none",
        ),
        (
            broken(molecules=of_cells(np.zeros(3, int))), {},
            "section 0 have 400 genes, places of shape (400, 2) and cells of shape (3,)",
        ),
        (
            broken(pixels=(*made().pixels[:2], (np.zeros((4, 4)), np.zeros((4, 5))))), {},
            "the stains of section 2 are of shape (4, 4), (4, 5); one (h, w) is wanted",
        ),
        (
            broken(pixels=(*made().pixels[:2], (np.zeros((4, 4), bool),) * 2)), {},
            "the stains of section 2 are of bool; grey values are numbers",
        ),
    ],
)  # fmt: skip
def test_errors_at_the_door(crops, options, words):
    with pytest.raises(DataError) as raised:
        Cropper(crops, **{"side_px": 9, **options})
    assert words in str(raised.value)


def test_all_faults_are_listed_together():
    crops = broken(centres_px=np.full((30, 2), np.inf), genes=np.array(["a", "a", "b", "c"]))
    with pytest.raises(DataError, match="4 faults") as raised:
        Cropper(crops, -1, stains=("GFP",))
    for words in ("is -1 px", "not finite", "named twice: a", "no stain GFP"):
        assert words in str(raised.value)


def test_crops_too_far_apart_for_one_number():
    n = 2000
    corners = np.zeros((n, 2), np.int64)
    corners[::2] = 2**24
    frames = spots_module.Frames(corners, np.repeat(np.arange(n // 2), 2), 10)
    with pytest.raises(DataError, match="too far apart.*Are the centres in pixels"):
        Banded.of((crops_module.NONE,) * (n // 2), np.arange(30_000), 30_000, frames)


def test_channels_are_named_or_left_out():
    held = ("DAPI", "Cellbound1", "Cellbound2")
    assert asked_for((), held) == held
    assert asked_for(("Cellbound2", "DAPI"), held) == ("Cellbound2", "DAPI")
    assert asked_for(("-DAPI",), held) == held[1:]
