"""What predictors are given: one scale, and what is refused at the door."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import inputs
from triptych.predictors.door import LARGEST_GB
from triptych.predictors.inputs import Scaled, check, check_settings, divided, known, scaled, taken


@pytest.fixture
def places(rng):
    return Places(rng.uniform(0, 900, (60, 2)), np.repeat([3, 0, 1], 20)[rng.permutation(60)])


@pytest.fixture
def views(rng):
    counts = rng.poisson(0.6, (60, 5)).astype(float)
    counts[:, 2] = 0.1  # constant; its mean is rounded
    return {"rna": counts, "img": (rng.normal(50, 3, (60, 4)) * [1, 10, 100, 1e-3]).astype(np.float32)}


@pytest.fixture
def target(rng):
    return Abundance(rng.uniform(0, 5, (60, 2)), ("T", "B"))


def test_columns_are_standardised_in_the_order_of_their_roles(views, places):
    x, model = scaled(views, places)
    theirs = StandardScaler().fit_transform(np.hstack([views["img"], views["rna"]]).astype(float))
    theirs[:, 6] = 0
    assert x.dtype == np.float32
    assert np.allclose(x, theirs, atol=1e-6)
    assert (model.roles, model.widths) == (("img", "rna"), (4, 5))
    assert np.array_equal(model.apply(views, places), x)


def test_values_are_clipped(views, places):
    views["rna"][7, 0] = 1e6
    assert scaled(views, places, clip=3.0).value.max() == 3
    assert scaled(views, places).value[7, 4] == pytest.approx(np.sqrt(59), rel=1e-4)


def test_each_section_has_its_own_scale(views, places):
    x, model = scaled(views, places, scale="section")
    for section in (0, 1, 3):
        rows = places.sample == section
        both = np.hstack([views["img"], views["rna"]])[rows].astype(float)
        theirs = StandardScaler().fit_transform(both)
        theirs[:, 6] = 0
        assert np.allclose(x[rows], theirs, atol=1e-5)
        alone = taken(views, places, np.flatnonzero(rows))
        assert np.array_equal(model.apply(*alone), x[rows])
    assert not model.mean.any()


def test_a_shift_and_scale_of_one_section_do_not_matter(views, places):
    moved = {role: view.astype(float) for role, view in views.items()}
    for view in moved.values():
        view[places.sample == 1] = view[places.sample == 1] * 7.5 - 20
    fit = scaled(views, places, scale="section")
    assert np.allclose(fit.model.apply(moved, places), fit.value, atol=1e-5)
    assert not np.allclose(scaled(moved, places).value, scaled(views, places).value, atol=0.1)


def test_a_row_is_the_same_alone_and_among_others(views, places):
    x, model = scaled(views, places)
    for row in (0, 41):
        assert np.array_equal(model.apply(*taken(views, places, np.array([row])))[0], x[row])


@pytest.mark.parametrize("scale", ["fit", "section"])
def test_sparse_views_give_what_dense_ones_give(views, places, scale, monkeypatch):
    dense = scaled(views, places, scale=scale)
    sparse = views | {"rna": sp.csr_matrix(views["rna"])}
    assert np.allclose(scaled(sparse, places, scale=scale).value, dense.value, atol=1e-6)
    monkeypatch.setattr("triptych.predictors.door.ROWS", 7)
    assert np.allclose(scaled(sparse, places, scale=scale).value, dense.value, atol=1e-6)


def test_saved_with_the_same_bits(views, places, tmp_path):
    for scale in ("fit", "section"):
        x, model = scaled(views, places, scale=scale)
        model.save(tmp_path / scale)
        assert Scaled.load(tmp_path / scale).apply(views, places).tobytes() == x.tobytes()


def test_a_damaged_model_is_refused(views, places, tmp_path):
    model = scaled(views, places).model
    Scaled(**{**vars(model), "roles": model.roles}).save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"img",', ""))
    with pytest.raises(WeightsError, match=r"does not fit 1 views of 9 columns"):
        Scaled.load(tmp_path)


def test_other_views_are_refused_with_what_the_model_knows(views, places):
    model = scaled(views, places).model
    with pytest.raises(DataError, match=r"the model knows img, rna; img is missing") as caught:
        model.apply({"rna": views["rna"][:, :3], "dna": views["img"]}, places)
    told = str(caught.value)
    assert "3 faults" in told
    assert "dna is not among them" in told
    assert "the view rna has 3 columns; the model knows 5." in told
    assert told.endswith("Give the views that the model was fitted on.")
    with pytest.raises(DataError, match=r"the view img has 59 rows but there are 60 places"):
        model.apply(views | {"img": views["img"][:-1]}, places)


def test_large_sparse_views_are_refused(places):
    d = int(LARGEST_GB * 1e9 / 240) + 10_000_000
    wide = sp.csr_matrix((60, d), dtype=np.float32)
    with pytest.raises(DataError, match=r"sparse view rna would take \d+ GB when dense"):
        scaled({"rna": wide}, places)


def test_known_rows_and_rows_taken(views, places, target):
    target.values[[4, 9]] = np.nan
    rows = known(target)
    assert len(rows) == 58
    assert not {4, 9} & set(rows.tolist())
    some, where = taken(views, Places(places.um, places.sample, places.um.astype(int), "hex"), rows)
    assert np.array_equal(some["rna"], views["rna"][rows])
    assert np.array_equal(where.um, places.um[rows])
    assert np.array_equal(where.grid, places.um.astype(int)[rows])
    assert where.lattice == "hex"


def test_what_is_tested_has_no_part_in_the_scale(views, places):
    learn, test = np.arange(40), np.arange(40, 60)
    one = divided(views, places, learn, test, scale="fit", clip=10.0)
    changed = {role: np.where(np.arange(60)[:, None] >= 40, view + 9, view) for role, view in views.items()}
    other = divided(changed, places, learn, test, scale="fit", clip=10.0)
    assert one[0].tobytes() == other[0].tobytes()
    assert not np.allclose(one[1], other[1])


def test_sections_keep_their_scale_when_divided(views, places):
    learn, test = np.arange(40), np.arange(40, 60)
    parts = divided(views, places, learn, test, scale="section", clip=10.0)
    assert np.array_equal(np.concatenate(parts), scaled(views, places, scale="section").value)


def test_good_inputs_pass_the_door(views, places, target):
    check("ridge", views, target, places, np.zeros(60, int))
    target.values[3] = np.nan
    check("ridge", views | {"rna": sp.csr_matrix(views["rna"])}, target, places, np.zeros(60, int))

    class Windows:
        def __len__(self):
            return 60

        def take(self, rows):
            raise NotImplementedError

    check("ridge", {"windows": Windows()}, target, places, np.zeros(60, int))
    with pytest.raises(DataError, match=r"the view windows has 60 rows but there are 2 places"):
        few = Abundance(target.values[:2], target.types)
        check(
            "ridge", {"windows": Windows()}, few, Places(places.um[:2], places.sample[:2]), np.zeros(2, int)
        )


def test_all_faults_are_told_together(views, places, target):
    views["rna"][1, 1] = np.inf
    target.values[0, 0], target.values[1, 1] = -1, np.nan
    with pytest.raises(DataError, match=r"^ridge: 8 faults") as caught:
        bad = {"img": views["img"][:50], "rna": views["rna"], "none": np.empty((60, 0)), "flat": np.ones(60)}
        check("ridge", bad, target, places, np.arange(59) - 1)
    told = str(caught.value)
    for part in (
        "the view img has 50 rows but there are 60 places.",
        "the view rna has values that are not finite. Leave those rows out.",
        "the view none has no columns.",
        "the view flat has shape (60,); it needs (n, d).",
        "there are 60 places but 59 codes of groups.",
        "some rows have no group. Fill in the column that groups.",
        "1 rows have an abundance of some types only. Make them all NaN, or none.",
        "some abundances are negative.",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda y: y[:-1], r"has shape \(59, 2\); 60 observations and 2 types need \(60, 2\)"),
        (lambda y: y[:, :1], r"has shape \(60, 1\)"),
        (lambda y: y - 9, "some abundances are negative"),
        (lambda y: np.where(y > 1, y, np.inf), "some abundances are infinite"),
        (lambda y: y * np.nan, "0 of 60 rows have an abundance; two are needed"),
        (lambda y: np.where(np.arange(60)[:, None] == 5, y, np.nan), "1 of 60 rows have an abundance"),
    ],
)
def test_abundances_that_teach_nothing_are_refused(views, places, target, change, told):
    with pytest.raises(DataError, match=told):
        check("knn", views, Abundance(change(target.values), target.types), places, np.zeros(60, int))


def test_a_predictor_needs_a_view_and_codes_of_sections(places, target):
    with pytest.raises(DataError, match=r"there is no view\. Name at least one in the step's reads"):
        check("knn", {}, target, places, np.zeros(60, int))
    with pytest.raises(DataError, match=r"there are 60 places but 59 codes of sections"):
        where = Places(places.um, places.sample[:-1])
        check("knn", {"x": np.ones((60, 1))}, target, where, np.zeros(60, int))


def test_parameters_out_of_range_are_refused():
    for level in (0, 1, float("nan")):
        with pytest.raises(ValueError, match="level must lie between 0 and 1"):
            check_settings(level)
    with pytest.raises(ValueError, match="clip must be above 0"):
        check_settings(0.9, 0)


def test_the_room_shares_the_door():
    assert inputs.check is check
