"""Organs held out of a segmentation: nothing of them reaches the model that judges them."""

import shutil

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.core.nuclei import Found
from triptych.maths.overlaps import as_arrays, overlaps_of
from triptych.pipeline import segmenting
from triptych.pipeline.cache import Cache
from triptych.pipeline.plan import plan
from triptych.pipeline.recipe import parse
from triptych.pipeline.run import run
from triptych.pipeline.segmenting import blocks_of, folds_of, gathered, inside, judged, segmented, types_found
from triptych.pipeline.study import STUDY, Study
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read

from ..journeys.nuclei_study import (  # noqa: TID252
    SECTIONS,
    other,
    write,
    write_picture,
    write_rings,
    write_truth,
)

K1, K2, B1, B2 = SECTIONS
NET = "{width: 4, depth: 2, steps: 2, batch: 2, crop_px: 64}"
SCORES = (
    '  - {do: score, use: dice, guess: "nuclei:x"}\n'
    '  - {do: score, use: pq-pooled, guess: "nuclei:x", over: study}\n'
    '  - {do: analyse, use: nuclei-scores, nuclei: "nuclei:x", to: found}\n'
)


def recipe(more="", use="watershed-stain", with_="{}", after="", types='types: "obs:truth", '):
    return parse(
        f"name: s\nseed: 1\nsteps:\n  - {{do: segment, use: {use}, with: {with_}, {types}"
        f'tile_px: 64, to: "nuclei:x"{more}}}\n{after}', "s",
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("nuclei"))


@pytest.fixture(scope="module")
def read_once(folder):
    return read(folder)


@pytest.fixture
def table(read_once):
    return read_once.copy()


def component(chosen, table):
    planned = plan(chosen, Study(table))[0]
    return planned.step, planned.units[0].component


def fold_model(chosen, table, unit):
    """Tiles and model of one fold, from one seed."""
    step, segmenter = component(chosen, table)
    given = gathered(Study(table), step, unit)
    found, model = segmented(segmenter, given, np.random.default_rng(0))
    return given["tiles"], model, found


def bits(model):
    """Every byte that a model would save."""
    return {
        name: {key: array.tobytes() for key, array in value.items()}
        if name == "network"
        else value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in vars(model).items()
        if name != "net"
    }  # fmt: skip


def same_tiles(ours, theirs):
    rows = np.arange(len(ours))
    assert ours.about.drop(columns=["tile", "shard", "row"]).equals(
        theirs.about.drop(columns=["tile", "shard", "row"])
    )
    assert ours.classes == theirs.classes
    one, two = ours.take(rows), theirs.take(rows)
    for name, array in vars(one).items():
        assert array.tobytes() == getattr(two, name).tobytes(), name


# -- nothing leaks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held_out", "folds"),
    [
        ("organ", {"organ Breast": ["B1", "B2"], "organ Kidney": ["K1", "K2"]}),
        ("donor", {"donor D1": ["K1"], "donor D2": ["B1", "K2"], "donor D3": ["B2"]}),
        ("sample", {f"sample {name}": [name] for name in ("B1", "B2", "K1", "K2")}),
        ("none", {}),
    ],
)
def test_folds_and_the_tiles_that_each_learns_from(table, held_out, folds):
    study, chosen = Study(table), recipe(f", held_out: {held_out}")
    assert folds_of(study, held_out) == folds
    step = chosen.steps[0]
    for unit, held in folds.items():
        given = gathered(study, step, unit)
        assert set(given["tiles"].about["sample"]) == {"B1", "B2", "K1", "K2"} - set(held)
        assert [one.section.sample for one in given["judged"]] == held
    whole = gathered(study, step, STUDY)
    assert set(whole["tiles"].about["sample"]) == {"B1", "B2", "K1", "K2"}
    assert whole["judged"] == []


def repainted(root):
    for one in (K1, K2):
        write_picture(root, one, 255 - one.picture())


def outlined_anew(root):
    for one in (K1, K2):
        write_rings(root, one.name, [ring * 0.9 + 5 for ring in one.rings()])


def told_anew(root):
    for one in (K1, K2):
        kinds = ["epithelial", "connective", "inflammatory"]
        labels = np.roll(one.labels(), 7, axis=0)
        write_truth(root, one, labels, [kinds[i % 3] for i in range(labels.max())])


def expressed_anew(root):
    for one in (K1, K2):
        molecules = one.transcripts()
        molecules["feature_name"] = molecules["feature_name"].to_numpy()[::-1]
        molecules.to_parquet(root / "transcripts" / f"{one.name}_transcripts.parquet")


def counted_types(table):
    """Types that each cell has by its own counts."""
    counts = table.layers["counts"].toarray()
    genes = [list(table.var_names).index(gene) for gene in ("EPCAM", "LUM", "CD3E")]
    table.obs["truth"] = np.array(["epithelial", "connective", "inflammatory"])[
        counts[:, genes].argmax(axis=1)
    ]
    return table


@pytest.mark.parametrize("learn_from", ["outlines", "known"])
@pytest.mark.parametrize("harm", [repainted, outlined_anew, told_anew, expressed_anew])
def test_what_is_held_out_changes_no_byte_of_the_model_that_judges_it(folder, tmp_path, harm, learn_from):
    root = shutil.copytree(folder, tmp_path / "other")
    harm(root)
    ours, theirs = read(folder), read(root)
    if harm is expressed_anew:
        ours, theirs = counted_types(ours), counted_types(theirs)
        assert not np.array_equal(ours.layers["counts"].toarray(), theirs.layers["counts"].toarray())
    chosen = recipe(f", learn_from: {learn_from}", "unet-hv", NET)
    tiles, model, found = fold_model(chosen, ours, "organ Kidney")
    others, again, too = fold_model(chosen, theirs, "organ Kidney")
    same_tiles(tiles, others)
    assert bits(model) == bits(again)
    if harm in {repainted, told_anew}:  # and what is judged did change
        assert str(as_arrays(found)) != str(as_arrays(too))


def test_the_fold_learns_what_a_study_without_the_organ_learns(folder, table):
    chosen = recipe("", "unet-hv", NET)
    tiles, model, _ = fold_model(chosen, table, "organ Kidney")
    only = read(folder, ReadOptions(samples=("B1", "B2")))
    others, whole, found = fold_model(recipe(", held_out: sample", "unet-hv", NET), only, STUDY)
    same_tiles(tiles, others)
    assert bits(model) == bits(whole)
    assert not len(found.organs)  # nothing is held out of the fit on all


# -- what is judged ----------------------------------------------------------------------------------


class Halves:
    """Finds the dark pixels as one nucleus in the left and one in the right half of the picture."""

    classes, mpp, halo_px, multiple_px = ("dark", "epithelial"), 0.25, 8, 16

    def segment(self, window):
        height, width = window.shape[:2]
        assert height % 16 == width % 16 == 0
        dark = window.mean(axis=2) < 150
        side = 1 + (np.arange(width) >= width // 2).astype(int)
        return Found((dark * side).astype(np.int32), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))


def test_overlaps_of_the_folds_are_those_computed_by_hand(table):
    chosen = recipe(with_="{threshold: fit}")  # which does not depend on what lies around a nucleus
    done = run(chosen, table)
    found = Study(table).overlaps("nuclei:x", STUDY)
    step, segmenter = component(chosen, table)
    given = {unit: gathered(Study(table), step, unit) for unit in ("organ Breast", "organ Kidney")}
    models = {
        unit: segmenter.fit(one["tiles"], np.random.default_rng(0)).model for unit, one in given.items()
    }
    kinds = ("connective", "epithelial", "inflammatory")
    truth, guess, organs, samples = [], [], [], []
    for unit, painted in (("organ Breast", (B1, B2)), ("organ Kidney", (K1, K2))):
        for one in painted:
            codes = np.array([kinds.index(("inflammatory", "connective", "epithelial")[k])
                              for k in one.nuclei()[2]])  # fmt: skip
            whole = models[unit].segment(one.picture())
            truth.append((one.labels(), codes))
            guess.append((whole.instances, np.full(len(whole.probabilities), -1)))
            organs.append(one.organ)
            samples.append(one.name)
    by_hand = overlaps_of(truth, guess, classes=kinds, organs=organs, samples=samples, mpp=0.25)
    assert found.classes == by_hand.classes
    assert found.samples.tolist() == by_hand.samples.tolist() == ["B1", "B2", "K1", "K2"]
    assert not found.seen.any()
    for name in ("truth", "guess", "pairs"):
        for key, values in getattr(by_hand, name).items():
            assert np.allclose(getattr(found, name)[key], values), (name, key)
    assert set(done.record.steps[0].state) == {"organ Breast", "organ Kidney", STUDY}


def test_a_region_is_looked_at_with_what_lies_around_it(table):
    step, _ = component(recipe(), table)
    named = segmenting.judged_section(Study(table), step, "K1")
    found = inside(Halves(), named.section, (16, 32, 100, 90))
    pixels = named.section.pixels((0, 16, 128, 128))  # 8 of halo, to a multiple of 16
    whole = Halves().segment(pixels).instances[16:106, 16:116]
    assert np.array_equal(found.instances > 0, whole > 0)
    assert len(found.probabilities) == found.instances.max() == len(np.unique(whole)) - 1


def test_numbers_of_a_region_have_no_gaps(table):
    step, _ = component(recipe(), table)
    section = segmenting.judged_section(Study(table), step, "K1").section
    found = inside(Halves(), section, (16, 0, 8, 192))  # of the right half of 32 pixels
    assert set(np.unique(found.instances)) == {0, 1}
    assert found.probabilities.tolist() == [pytest.approx([0.2, 0.8])]
    assert types_found(found, np.array([3, 1])).tolist() == [1]
    untyped = Found(found.instances, np.empty((1, 0), np.float32))
    assert types_found(untyped, np.empty(0, np.int64)).tolist() == [-1]


def test_classes_that_the_model_and_the_labels_do_not_share_are_joined(table):
    step, _ = component(recipe(), table)
    sections = [segmenting.judged_section(Study(table), step, name) for name in ("K1", "B1")]
    found = judged(Halves(), sections, frozenset({"Kidney"}))
    assert found.classes == ("connective", "dark", "epithelial", "inflammatory")
    assert set(found.guess["type"]) == {1, 2}
    assert set(found.truth["type"]) == {0, 2, 3}
    assert found.seen.tolist() == [True, False]


def test_folds_whose_classes_differ_are_put_together():
    def one(classes, kind, sample):
        picture = np.array([[1, 0]], np.int32)
        return overlaps_of(
            [(picture, np.array([kind]))], [(picture, np.array([0]))], classes=classes, organs=["o"],
            samples=[sample], mpp=1,
        )  # fmt: skip

    found = segmenting.together({"a": one(("b", "c"), 1, "S"), "b": one(("a", "c"), 1, "T")})
    assert found.classes == ("a", "b", "c")
    assert found.truth["type"].tolist() == [2, 2]
    assert found.guess["type"].tolist() == [1, 0]
    assert found.samples.tolist() == ["S", "T"]


def test_a_section_without_known_nuclei_is_held_against_its_outlines(tmp_path):
    folder = write(tmp_path, [other(one, truth=one is not K2) for one in SECTIONS])
    table = read(folder)
    planned = plan(recipe(types=""), Study(table))[0]
    assert planned.protocol == "organ held out, known nuclei or outlines"
    assert any("Held against known nuclei: B1, B2, K1" in note for note in planned.notes)
    run(recipe(types="", after=SCORES), table)
    found = Study(table).overlaps("nuclei:x", "K2")
    assert len(found.truth["area"]) == len(K2.rings())


def test_a_refused_section_without_known_nuclei_is_not_judged(tmp_path):
    """Nobody knows where its nuclei are."""
    folder = write(tmp_path, [other(one, truth=one is not K2) for one in SECTIONS])
    table = read(folder)
    table.obsm["registered"] = table.obsm["spatial"].copy()
    table.obsm["registered"][(table.obs["sample"] == "K2").to_numpy()] = np.nan
    chosen = recipe(', places: "obsm:registered"', types="", after=SCORES)
    record = run(chosen, table).record
    found = Study(table).overlaps("nuclei:x", STUDY)
    assert set(found.samples) == {"B1", "B2", "K1"}
    assert record.scores.query("metric == 'dice' and sample == 'K2'")["value"].isna().all()
    assert any("is undefined (no picture of it is judged" in note for note in record.warnings)


def test_nothing_held_out_leaves_a_model_and_nothing_to_score(table, tmp_path):
    cache = Cache(tmp_path)
    done = run(recipe(", held_out: none", after=SCORES), table, cache=cache)
    assert set(done.record.steps[0].state) == {STUDY}
    assert not len(Study(table).overlaps("nuclei:x", STUDY).organs)
    assert done.record.scores["value"].isna().all()
    assert done.record.tables["found"].empty
    assert any("judged on nothing here" in note for note in done.record.warnings)
    assert [link.step.do for link in done.chain.links] == ["segment"]
    assert done.chain.links[0].model.segment(K1.picture()).instances.max() > 0
    again = run(recipe(", held_out: none", after=SCORES), table.copy(), cache=cache)
    assert set(again.record.steps[0].state.values()) == {"cached"}


@pytest.mark.parametrize(
    ("held_out", "samples", "words"),
    [
        ("organ", ("K1", "K2"), r"All sections are of one organ \(Kidney\).*segment\.held_out=donor"),
        ("sample", ("K1",), r"All sections are of one sample \(K1\)"),
    ],
)
def test_one_organ_alone_cannot_be_held_out(folder, held_out, samples, words):
    table = read(folder, ReadOptions(samples=samples))
    with pytest.raises(DataError, match=words):
        run(recipe(f", held_out: {held_out}"), table)


def test_when_all_but_the_refused_is_held_out_the_error_says_so(table):
    table.obsm["registered"] = table.obsm["spatial"].copy()
    table.obsm["registered"][table.obs["sample"].isin(["B1", "B2"]).to_numpy()] = np.nan
    with pytest.raises(DataError, match="No tile is left to learn from once organ Kidney is held out"):
        run(recipe(', places: "obsm:registered"'), table)


def test_scores_of_organs_that_were_seen_and_of_new_ones(table):
    """A donor held out leaves tissue of its organ in the fit."""
    words = ", ".join(f'{{do: score, use: dice, guess: "nuclei:x", organs: {o}}}' for o in ("seen", "new"))
    after = "".join(f"  - {one}}}\n".replace("}}", "}") for one in words.split("}, "))
    for held_out, filled in (("donor", "dice:seen"), ("organ", "dice:new")):
        record = run(recipe(f", held_out: {held_out}", after=after), table.copy()).record
        known = record.scores.dropna(subset="value")
        assert set(known["metric"]) == {filled}
        assert set(known["sample"]) >= {"B1", "B2", "K1", "K2"}


def test_large_sections_are_judged_by_blocks(table, monkeypatch):
    step, _ = component(recipe(), table)
    section = segmenting.judged_section(Study(table), step, "K1").section
    assert blocks_of(section) == [(0, 0, 192, 192)]
    monkeypatch.setattr(segmenting, "BLOCK_PX", 50)
    blocks = blocks_of(section)
    covered = np.zeros((192, 192), int)
    for x, y, wide, tall in blocks:
        covered[y : y + tall, x : x + wide] += 1
    assert (covered == 1).all()
    monkeypatch.setattr(segmenting, "MOST_BLOCKS", 5)
    some = blocks_of(section)
    assert len(some) == 5
    assert set(some) < set(blocks)


# -- the cache ---------------------------------------------------------------------------------------


def test_a_second_run_takes_every_fold_from_the_cache(table, tmp_path):
    cache, twin = Cache(tmp_path), table.copy()
    first = run(recipe(after=SCORES), table, cache=cache).record
    second = run(recipe(after=SCORES), twin, cache=cache).record
    assert set(second.steps[0].state.values()) == {"cached"}
    assert second.scores.equals(first.scores)
    same = [as_arrays(Study(one).overlaps("nuclei:x", STUDY)) for one in (table, twin)]
    assert all(np.array_equal(same[0][name], same[1][name]) for name in same[0])
    kept = {unit.name: cache.has(unit.key, model=True) for unit in plan(recipe(), Study(twin))[0].units}
    assert kept == {"organ Breast": False, "organ Kidney": False, STUDY: True}


def test_the_identity_of_a_fold_follows_from_what_it_is_given(folder, table, tmp_path):
    def keys(one, *more, **how):
        return {unit.name: unit.key for unit in plan(recipe(*more, **how), Study(one))[0].units}

    plain = keys(table)
    assert keys(table.copy()) == plain
    for more in (", mpp: 0.5", ", most_tiles: 3", ", learn_from: known", ", harm: {lost: 0.5}"):
        assert not set(keys(table, more).values()) & set(plain.values()), more
    root = shutil.copytree(folder, tmp_path / "other")
    repainted(root)
    assert not set(keys(read(root)).values()) & set(plain.values())
