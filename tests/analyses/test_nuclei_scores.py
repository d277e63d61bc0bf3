"""The table of scores of nuclei: each value is that of the metric, each interval draws images."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from triptych.analyses import registry
from triptych.core.analysis import Material
from triptych.core.errors import DataError, RecipeError
from triptych.core.protocols import Places
from triptych.maths.bootstrap import percentile_interval
from triptych.maths.overlaps import OverlapsBuilder, of_images, with_classes
from triptych.metrics import registry as metrics

CLASSES = ("neoplastic", "inflammatory", "connective")
ORGANS = ("colon", "colon", "colon", "kidney", "kidney", "", "colon", "colon")
SAME = {  # metric and whether it is pooled → its name in the room of metrics
    ("dice", "image"): "dice", ("aji", "image"): "aji", ("pq", "image"): "pq", ("pq", "pooled"): "pq-pooled",
    ("detection-precision", "pooled"): "detection-precision",
    ("detection-recall", "pooled"): "detection-recall", ("detection-f1", "pooled"): "detection-f1",
    ("count-error", "image"): "count-error",
}  # fmt: skip
SAME_OF_TYPES = {("pq", "image"): "mpq", ("pq", "pooled"): "mpq-pooled", ("type-f1", "pooled"): "type-f1"}


def labels(rng):
    """Blocks of 6 px with numbers of their own, some missing."""
    grid = np.arange(1, 37).reshape(6, 6) * (rng.uniform(size=(6, 6)) < 0.5)
    return np.kron(grid, np.ones((6, 6), np.int32)).astype(np.int32)


@pytest.fixture
def found():
    """Eight images; the class connective is known only in the kidney."""
    rng, builder = np.random.default_rng(4), OverlapsBuilder(CLASSES, 0.25)
    for number, organ in enumerate(ORGANS):
        truth = labels(rng)
        guess = np.where(rng.uniform(size=(36, 36)) < 0.25, 0, np.roll(truth, number % 3, axis=1))
        guess[:, :6] = labels(rng)[:, :6]
        types = rng.integers(-1, 3 if organ == "kidney" else 2, 36)
        told = np.where(rng.uniform(size=36) < 0.7, np.maximum(types, 0), rng.integers(0, 3, 36))
        builder.add((truth, types), (guess.astype(np.int32), told), organ=organ, sample=f"S{number // 2}")
    return builder.done()


def analyse(found, seed=0, **params):
    nowhere = Places(np.empty((0, 2)), np.empty(0, int))
    material = Material(np.empty(0, int), (), nowhere, nuclei=found)
    return registry.make("nuclei-scores", params).analyse(material, np.random.default_rng(seed))


def row_of(table, organ, kind, metric, over):
    rows = table[(table[["organ", "class", "metric", "over"]] == [organ, kind, metric, over]).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


IMAGES = {
    "all": list(range(8)), "colon": [0, 1, 2, 6, 7], "kidney": [3, 4], "unknown": [5],
}  # fmt: skip


@pytest.mark.parametrize("organ", IMAGES)
@pytest.mark.parametrize("radius_um", [3.0, 0.8])
def test_values_are_those_of_the_metrics(found, organ, radius_um):
    table, images = analyse(found, radius_um=radius_um), np.array(IMAGES[organ])

    def expected(name):
        params = {"radius_um": radius_um} if fields(metrics.find(name)) else {}
        return metrics.make(name, params).score(images, found)

    for kind, same in (("all", SAME), ("(mean)", SAME_OF_TYPES)):
        for (metric, over), name in same.items():
            value = row_of(table, organ, kind, metric, over)["value"]
            assert value == pytest.approx(expected(name), abs=1e-12, nan_ok=True), name


def test_every_organ_class_and_metric_has_its_rows(found):
    table = analyse(found)
    assert list(table) == [
        "organ", "class", "metric", "over", "value", "low", "high", "images", "true", "found"
    ]  # fmt: skip
    assert set(table["organ"]) == set(IMAGES)
    assert set(table["class"]) == {"all", "(mean)", *CLASSES}
    assert len(table) == len(IMAGES) * 2 * (7 + 2 * 4)
    assert not table.duplicated(["organ", "class", "metric", "over"]).any()
    assert {metric for metric, _ in SAME} == set(table.loc[table["class"] == "all", "metric"])


def test_a_class_by_itself(found):
    """Pooled quality of one class is that of overlaps in which nothing else is told."""
    table = analyse(found)
    for code, name in enumerate(CLASSES):
        image, true = found.truth["image"], found.truth["type"] == code
        row = row_of(table, "all", name, "pq", "pooled")
        assert row["true"] == true.sum()
        assert row["found"] == (found.guess["type"] == code).sum()
        assert row_of(table, "all", name, "pq", "image")["images"] == len(np.unique(image[true]))
    values = [row_of(table, "all", name, "pq", "pooled")["value"] for name in CLASSES]
    assert row_of(table, "all", "(mean)", "pq", "pooled")["value"] == pytest.approx(np.mean(values))


def test_nuclei_made_up_where_the_class_is_unknown_count_only_when_pooled(found):
    """Nobody knows connective nuclei of the colon, where many were found."""
    table = analyse(found)
    over, pooled = (row_of(table, "colon", "connective", "pq", one) for one in ("image", "pooled"))
    assert (over["images"], over["true"]) == (0, 0)
    assert np.isnan(over["value"])
    assert (pooled["value"], pooled["true"]) == (0.0, 0)
    assert pooled["found"] > 0
    better = [row_of(table, "all", "connective", "pq", one)["value"] for one in ("image", "pooled")]
    assert better[0] > better[1]


def test_intervals_draw_whole_images(found):
    """The ends are percentiles of the metric on drawn images, one by one."""
    table, rng = analyse(found, draws=100, seed=5), np.random.default_rng(5)
    drawn = rng.integers(8, size=(100, 8))  # organs come after all
    for kind, metric, over, name in (
        ("all", "dice", "image", "dice"), ("all", "pq", "pooled", "pq-pooled"),
        ("all", "count-error", "image", "count-error"), ("all", "detection-f1", "pooled", "detection-f1"),
        ("(mean)", "pq", "image", "mpq"), ("(mean)", "pq", "pooled", "mpq-pooled"),
        ("(mean)", "type-f1", "pooled", "type-f1"),
    ):  # fmt: skip
        values = np.array([metrics.make(name).score(images, found) for images in drawn])
        row = row_of(table, "all", kind, metric, over)
        assert (row["low"], row["high"]) == pytest.approx(percentile_interval(values), abs=1e-12)
        assert row["low"] < row["value"] < row["high"]
    assert "(100 draws)" in table.attrs["note"]


def test_fewer_than_three_images_have_no_interval(found):
    table = analyse(found)
    few = table["images"] < 3
    assert few.any()
    assert table.loc[few, ["low", "high"]].isna().all(axis=None)
    assert table.loc[~few, ["low", "high"]].notna().all(axis=None)
    assert set(table.loc[table["organ"] == "kidney", "images"]) <= {1, 2}


def test_without_types_there_are_no_rows_of_classes(found):
    guess = {**found.guess, "type": np.full(len(found.guess["type"]), -1)}
    untold = type(found)(
        found.classes, found.organs, found.samples, found.seen, found.truth, guess, found.pairs
    )
    table = analyse(untold)
    assert set(table["class"]) == {"all"}
    same = analyse(found).query("`class` == 'all'").reset_index(drop=True)
    pd.testing.assert_frame_equal(table, same, check_exact=True)


def test_a_class_that_occurs_nowhere_has_no_value(found):
    table = analyse(with_classes(found, ("dead", *CLASSES)))
    rows = table[table["class"] == "dead"]
    assert rows["value"].isna().all()
    assert (rows[["images", "true", "found"]] == 0).all(axis=None)
    values = [row_of(one, "all", "(mean)", "pq", "pooled")["value"] for one in (table, analyse(found))]
    assert values[0] == pytest.approx(values[1])


def test_some_images_alone_are_judged_as_their_organ(found):
    part = of_images(found, np.array(IMAGES["colon"]))
    columns = ["class", "metric", "over", "value", "images", "true", "found"]
    rows = [
        table.loc[table["organ"] == "colon", columns].reset_index(drop=True)
        for table in (analyse(found), analyse(part))
    ]
    pd.testing.assert_frame_equal(*rows)


def test_what_cannot_be_judged_is_refused(found):
    with pytest.raises(DataError, match="nuclei-scores: there are no nuclei"):
        analyse(None)
    assert analyse(of_images(found, np.array([], int))).empty
    for params, message in (
        ({"radius_um": 0.0}, "radius_um must be above 0"), ({"draws": 99}, "draws must be 100 or more"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=message):
            registry.make("nuclei-scores", params)
