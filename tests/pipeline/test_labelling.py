"""The label factory: what lies in its tiles, what decides their identity, and a factory that is killed."""

import os
import signal
from collections import Counter
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

from triptych.core.errors import DataError
from triptych.core.nuclei import UNKNOWN
from triptych.core.settings import cache_dir
from triptych.pipeline import labelling
from triptych.pipeline.labelling import boxes_of, export, refused, section_of, store_of, summary, tile_of
from triptych.pipeline.recipe import parse
from triptych.pipeline.study import Study
from triptych.readers.read import read
from triptych.tiles.label_store import LabelStore, LabelStoreWriter

from ..journeys.nuclei_study import SECTIONS, TYPES, other, write, write_rings, write_words  # noqa: TID252

FORK = get_context("fork")  # nothing here starts a thread of torch


@pytest.fixture(scope="module")
def read_once(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("nuclei"))
    return folder, read(folder)


@pytest.fixture
def table(read_once):
    """The study with types and with places that were registered."""
    table = read_once[1].copy()
    shift = {one.name: np.array(one.shift_um) / one.mpp for one in SECTIONS}
    moved = np.stack([shift[name] for name in table.obs["sample"]])
    table.obsm["spatial_registered"] = table.obsm["spatial"] + moved
    return table


def step(more=""):
    text = (
        'name: s\nsteps:\n  - {do: segment, use: unet-hv, types: "obs:truth", places: '
        f'"obsm:spatial_registered", tile_px: 64, to: "nuclei:x"{more}}}\n'
    )
    return parse(text, "s").steps[0]


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_outlines_that_were_moved_give_the_nuclei_that_the_picture_shows(table):
    """The discs were painted where labels say; outlines are 16-gons inside them."""
    store = store_of(Study(table), step())
    assert store.classes == tuple(sorted(TYPES))
    truth = {one.name: (one.labels(), one.nuclei()[2]) for one in SECTIONS}
    for number in range(0, len(store), 3):
        tile, about = store.take(np.array([number])), store.about.iloc[number]
        labels, kinds = truth[about["sample"]]
        x, y = int(about["x_px"]), int(about["y_px"])
        drawn = np.zeros((64, 64), int)
        part = labels[y : y + 64, x : x + 64]
        drawn[: part.shape[0], : part.shape[1]] = part
        found = tile.instances[0] > 0
        assert (found & (drawn > 0)).sum() / max((found | (drawn > 0)).sum(), 1) > 0.9
        both = found & (drawn > 0)
        codes = np.array([store.classes.index(TYPES[kind]) + 1 for kind in kinds])
        assert np.array_equal(tile.types[0][both], codes[drawn[both] - 1])


def test_tiles_equal_the_section_read_at_their_places(table):
    study, chosen = Study(table), step()
    store = store_of(study, chosen)
    for name in study.samples:
        section, names = section_of(study, chosen, name, "outlines")
        rows = np.flatnonzero(store.about["sample"] == name)
        tiles = store.take(rows)
        for i, row in enumerate(rows):
            box = (*store.about.loc[row, ["x_px", "y_px"]].astype(int), 64, 64)
            pixels = section.pixels(box)
            labels = section.region(box, pixels)
            assert np.array_equal(tiles.image[i], pixels)
            assert np.array_equal(tiles.ignore[i], labels.ignore)
            assert np.array_equal(tiles.instances[i] > 0, labels.instances > 0)
            pairs = set(zip(tiles.instances[i].ravel(), labels.instances.ravel(), strict=True))
            assert len(pairs) == len(np.unique(labels.instances))  # other numbers, the same nuclei
            for shown, kind in set(zip(tiles.types[i].ravel(), labels.instances.ravel(), strict=True)):
                code = labels.types[kind]
                wanted = 0 if not kind else store.classes.index(names[code]) + 1
                assert shown == wanted


def test_a_nucleus_of_unknown_type_is_told_as_such(table):
    table.obs["truth"] = table.obs["truth"].where(np.arange(table.n_obs) % 2 == 0)
    store = store_of(Study(table), step())
    tiles = store.take(np.arange(len(store)))
    assert (tiles.types == UNKNOWN).any()
    assert np.array_equal(tiles.types > 0, tiles.instances > 0)
    assert store.about["untyped"].sum() > 0.3 * store.about["nuclei"].sum()


def test_without_types_all_nuclei_are_of_unknown_type(table):
    plain = step().model_copy(update={"types": None})
    store = store_of(Study(table), plain)
    assert store.classes == ()
    assert set(np.unique(store.take(np.arange(len(store))).types)) == {0, UNKNOWN}


def test_a_section_that_was_refused_is_left_out_and_named(table):
    table.obsm["spatial_registered"][(table.obs["sample"] == "K1").to_numpy()] = np.nan
    study = Study(table)
    assert set(store_of(study, step()).about["sample"]) == {"K2", "B1", "B2"}
    assert refused(study, step()).endswith("do not lie on their pictures: K1.")
    assert "K1" in set(store_of(study, step(", learn_from: known")).about["sample"])
    assert refused(study, step(", learn_from: known")) == ""


def test_when_all_are_refused_the_error_says_what_to_do(table):
    table.obsm["spatial_registered"][:] = np.nan
    with pytest.raises(DataError, match=r"No section has a nucleus.*B1, B2, K1, K2\..*register\.use=none"):
        store_of(Study(table), step())


def test_outlines_of_cells_whose_place_is_not_known_make_no_labels(table):
    rows = Study(table).rows("K1")
    table.obsm["spatial_registered"][rows[[0, 5]]] = np.nan
    section = section_of(Study(table), step(), "K1", "outlines").section
    assert len(section.centres_px) == len(section.types) == len(rows) - 2
    assert np.isfinite(section.centres_px).all()
    assert len(store_of(Study(table), step()))


def test_the_most_tiles_are_drawn_alike_and_lie_in_the_grid(table):
    study, chosen = Study(table), step()
    section = section_of(study, chosen, "K1", "outlines").section
    every, some = boxes_of(section, 64, 2000), boxes_of(section, 64, 4)
    assert len(some) == 4
    assert some == boxes_of(section, 64, 4)
    assert set(some) < set(every)
    height, width = section.picture.shape_px
    covered = np.zeros((height, width), bool)
    for x, y, wide, tall in every:
        assert (wide, tall) == (64, 64)
        covered[y : y + tall, x : x + wide] = True
    assert covered[tuple(section.centres_px.astype(int).T[::-1])].all()
    store = store_of(study, step(", most_tiles: 3"))
    assert set(Counter(store.about["sample"]).values()) == {3}


def test_numbers_and_types_of_a_tile():
    labels = labelling.Labels(
        np.array([[0, 7, 7], [3, 0, 12]], np.int32), np.array([-1, *[-1] * 2, 0, *[1] * 4, *[2] * 4, -1]),
        np.zeros((2, 3), bool),
    )  # fmt: skip
    tile = tile_of(np.zeros((2, 3, 3), np.uint8), labels, np.array([4, 1, 0, -1]))
    assert tile.instances[0].tolist() == [[0, 2, 2], [1, 0, 3]]
    assert tile.types[0].tolist() == [[0, 2, 2], [5, 0, UNKNOWN]]
    full = labels._replace(instances=np.full((2, 3), 7, np.int32))
    assert tile_of(np.zeros((2, 3, 3), np.uint8), full, np.array([4, 1, 0, -1])).instances.min() == 1


# -- identity ----------------------------------------------------------------------------------------


def key(table, more=""):
    return labelling._key(Study(table), step(more))


def test_the_identity_follows_from_what_the_tiles_are_made_of(table, read_once, tmp_path):
    plain = key(table)
    assert key(table.copy()) == plain
    others = {key(table, more) for more in (", mpp: 0.5", ", most_tiles: 3", ", learn_from: known")}
    others |= {key(table, ", harm: {lost: 0.5}"), key(table, ", harm: {flipped: 0.5}")}
    moved = table.copy()
    moved.obsm["spatial_registered"] = moved.obsm["spatial_registered"] + 1
    typed = table.copy()
    typed.obs["truth"] = np.roll(typed.obs["truth"].astype(str), 1)
    named = table.copy()
    named.obs["truth"] = named.obs["truth"].astype(str).str.upper()
    donor = table.copy()
    donor.uns["triptych"] = {**donor.uns["triptych"], "samples": donor.uns["triptych"]["samples"].copy()}
    donor.uns["triptych"]["samples"].loc["K1", "organ"] = "Lung"
    others |= {key(one) for one in (moved, typed, named, donor)}
    folder = write(tmp_path / "altered")
    write_rings(folder, "K1", [ring + 1 for ring in SECTIONS[0].rings()])
    altered = read(folder)
    altered.obsm["spatial_registered"] = table.obsm["spatial_registered"]
    others.add(key(altered))
    assert len(others | {plain}) == 11
    assert key(table, ", held_out: sample") == plain  # what is held out is taken out of the store


def test_a_store_that_is_there_is_not_made_again(table, monkeypatch):
    first = store_of(Study(table), step())
    monkeypatch.setattr(labelling, "LabelStoreWriter", None)
    assert store_of(Study(table), step()).folder == first.folder


def test_a_store_that_was_damaged_is_made_again(table, caplog):
    whole = files(folder := store_of(Study(table), step()).folder)
    (folder / "shard-00000" / "types.npy").write_bytes(b"no")
    assert files(store_of(Study(table), step()).folder) == whole
    assert "are damaged" in caplog.text


def test_a_picture_without_a_resolution_is_refused(table):
    table.uns["triptych"] = {**table.uns["triptych"], "samples": table.uns["triptych"]["samples"].copy()}
    table.uns["triptych"]["samples"].loc["K2", "mpp"] = np.nan
    with pytest.raises(DataError, match="K2 has no µm per pixel"):
        store_of(Study(table), step())


# -- harm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learn_from", ["outlines", "known"])
def test_harm_reaches_the_tiles(table, learn_from):
    study, more = Study(table), f", learn_from: {learn_from}"
    plain = store_of(study, step(more))
    lossy = store_of(study, step(f"{more}, harm: {{lost: 0.5}}"))
    assert 0.3 < lossy.about["nuclei"].sum() / plain.about["nuclei"].sum() < 0.7
    flipped = store_of(study, step(f"{more}, harm: {{flipped: 0.4}}"))
    rows = np.arange(len(plain))
    ours, theirs = plain.take(rows), flipped.take(rows)
    assert np.array_equal(ours.instances, theirs.instances)
    nuclei = ours.instances > 0
    assert 0.25 < (ours.types != theirs.types)[nuclei].mean() < 0.55


def moved_harm():
    return step(", harm: {displaced_um: 2}").harm


@pytest.mark.parametrize("learn_from", ["outlines", "known"])
def test_labels_are_displaced_by_what_was_asked(table, learn_from):
    section = section_of(Study(table), step(), "K1", learn_from).section
    harmful = labelling._harm(section, moved_harm())
    assert np.hypot(*harmful.by_px) == pytest.approx(2 / 0.25)
    moved = section.with_harm(harmful, 3).centres_px - section.centres_px
    assert moved == pytest.approx(np.tile(harmful.by_px, (len(moved), 1)))


def test_sections_are_displaced_in_directions_of_their_own(table):
    study = Study(table)
    found = {
        name: labelling._harm(section_of(study, step(), name, "outlines").section, moved_harm()).by_px
        for name in study.samples
    }
    assert len(set(found.values())) == len(study.samples)


# -- killed, and two at once -------------------------------------------------------------------------


def made_elsewhere(table, after=0, gate=None):
    """Make the store in another process, which is killed once it has written so many tiles."""

    def work():
        add, count = LabelStoreWriter.add, [0]

        def counted(self, *args):
            if gate is not None and not count[0]:
                gate.wait(60)
            count[0] += 1
            if count[0] == after:
                os.kill(os.getpid(), signal.SIGKILL)
            return add(self, *args)

        LabelStoreWriter.add = counted
        store_of(Study(table), step())

    process = FORK.Process(target=work)
    process.start()
    return process


def test_a_factory_that_was_killed_is_begun_again_and_gives_the_same_bytes(table, tmp_path, monkeypatch):
    whole = files(store_of(Study(table), step()).folder)
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path / "other"))
    killed = made_elsewhere(table, after=7)
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    left = list((tmp_path / "other" / "tiles").iterdir())
    assert left
    assert not [one for one in left if (one / "manifest.json").exists()]
    again = store_of(Study(table), step())
    assert files(again.folder) == whole


def test_two_factories_at_once_give_one_store(table):
    gate = FORK.Barrier(2)
    both = [made_elsewhere(table, gate=gate) for _ in range(2)]
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    (folder,) = (cache_dir() / "tiles").iterdir()
    found = LabelStore.open(folder, check=True)
    assert set(found.about["sample"]) == {one.name for one in SECTIONS}


# -- what is told ------------------------------------------------------------------------------------


def test_the_summary_counts_the_tiles_and_nuclei_of_each_section(table):
    store = store_of(Study(table), step())
    found = summary(store).set_index("sample")
    for name, rows in store.about.groupby("sample"):
        assert found.loc[name, "tiles"] == len(rows)
        assert found.loc[name, "nuclei"] == rows["nuclei"].sum()
        assert found.loc[name, "n_epithelial"] == rows["n_epithelial"].sum()
        assert found.loc[name, "share_ignored"] == pytest.approx(rows["ignored"].mean())
    assert found.loc["K1", ["organ", "donor"]].tolist() == ["Kidney", "D1"]


@pytest.mark.parametrize("linked", [True, False])
def test_a_store_is_put_into_the_folder_of_a_run(table, tmp_path, monkeypatch, linked):
    store = store_of(Study(table), step())
    if not linked:
        monkeypatch.setattr("pathlib.Path.hardlink_to", lambda *_: (_ for _ in ()).throw(OSError("no")))
    export(store, tmp_path / "out")
    assert files(tmp_path / "out") == files(store.folder)
    again = LabelStore.open(tmp_path / "out", check=True)
    pd.testing.assert_frame_equal(again.about, store.about)


def test_an_organ_that_nobody_says_is_unknown(tmp_path):
    one = other(SECTIONS[0], organ="")
    folder = write(tmp_path, [one])
    write_words(folder, one, organ=None)
    assert labelling.organ_of(Study(read(folder)), "K1") == "unknown"
