"""Which types lie near each other: against double sums, similarity of maps, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from triptych.analyses.colocalisation import Colocalisation
from triptych.analyses.colocalisation_similarity import ColocalisationSimilarity, correlation, cosine
from triptych.core.abundance import Abundance
from triptych.core.analysis import Material
from triptych.core.errors import DataError
from triptych.core.protocols import Places

TYPES = ("tumour", "stroma", "immune", "fat")
COLUMNS = ["sample", "of", "type", "other", "r", "pvalue", "padj", "n"]


@pytest.fixture
def material(rng):
    """Two sections of 10 × 10 spots; tumour and immune share a gradient, fat is constant in the second."""
    row, column = np.divmod(np.arange(100), 10)
    grid, sample = np.tile(np.c_[column, row], (2, 1)), np.repeat([0, 1], 100)
    values = rng.gamma(1.0, size=(200, 4))
    values[:, 0] += grid[:, 0]
    values[:, 2] += grid[:, 0]
    values[100:, 3] = 0.25
    guess = np.abs(values + rng.normal(0, 0.5, values.shape))
    places = Places(grid * 200.0, sample, grid, "square")
    roles = {"truth": Abundance(values, TYPES), "guess": Abundance(guess, TYPES)}
    return Material(np.full(200, -1), (), places, abundances=roles, samples=("A1", "B1"))


def changed(material, role, values):
    return replace(material, abundances={**material.abundances, role: Abundance(values, TYPES)})


def naive(x, um, length=200.0, cutoff=3.0, itself=False):
    n = len(x)
    w = np.array([[np.linalg.norm(a - b) for b in um] for a in um])
    w = np.where(w <= cutoff * length * 1.000001, np.exp(-(w**2) / (2 * length**2)), 0)
    if not itself:
        np.fill_diagonal(w, 0)
    w *= n / w.sum()
    z = (x - x.mean(axis=0)) / np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0))
    return z.T @ w @ z


def analyse(component, material, seed=0):
    return component.analyse(material, np.random.default_rng(seed))


def maps(table, sample, role):
    one = table[(table["sample"] == sample) & (table["of"] == role)]
    wide = one.pivot_table(index="type", columns="other", values="r", dropna=False, sort=False)
    wide = wide.reindex(index=TYPES, columns=TYPES).to_numpy()
    return np.where(np.isnan(wide), wide.T, wide)


@pytest.mark.parametrize("params", [{}, {"with_itself": True}, {"length_um": 350.0, "cutoff": 1.5}])
def test_r_against_a_dense_double_sum(material, params):
    table = analyse(Colocalisation(permutations=19, **params), material)
    assert list(table) == COLUMNS
    assert len(table) == 2 * 2 * 10
    dense = {"length": params.get("length_um", 200.0), "cutoff": params.get("cutoff", 3.0)}
    for code, sample in enumerate(("A1", "B1")):
        rows = material.places.sample == code
        for role, one in material.abundances.items():
            with np.errstate(invalid="ignore"):
                want = naive(
                    one.values[rows], material.places.um[rows], itself="with_itself" in params, **dense
                )
            got = maps(table, sample, role)
            varies = np.ptp(one.values[rows], axis=0) > 0
            assert np.abs(got - want)[np.ix_(varies, varies)].max() <= 1e-8
            assert np.isnan(got[~varies]).all()
    assert (table["n"] == 100).all()


def test_what_shares_a_gradient_is_found_and_adjusted_over_other_pairs(material):
    table = analyse(Colocalisation(), material)
    one = table[(table["sample"] == "A1") & (table["of"] == "truth")]
    between = one[one["type"] != one["other"]]
    assert np.allclose(between["padj"], false_discovery_control(between["pvalue"]))
    assert one.loc[one["type"] == one["other"], "padj"].isna().all()
    assert one.loc[one["type"] == one["other"], "pvalue"].notna().all()
    row = between[(between["type"] == "tumour") & (between["other"] == "immune")].iloc[0]
    assert row["r"] > 0.5
    fat = table[(table["sample"] == "B1") & (table["of"] == "truth") & (table["other"] == "fat")]
    assert fat[["r", "pvalue", "padj"]].isna().all(axis=None)
    assert table["pvalue"].min() >= 1 / 200


def test_the_note_says_what_was_near_and_who_took_part(material):
    values = material.abundances["truth"].values.copy()
    values[:5, 1] = np.nan
    table = analyse(Colocalisation(permutations=19), changed(material, "truth", values))
    note = table.attrs["note"]
    assert "l = 200 µm, the median distance to the nearest observation, up to 3 l" in note
    assert "195 observations take part; 5 are left out" in note
    assert "does not count as its own neighbour" in note
    assert set(table.loc[table["sample"] == "A1", "n"]) == {95}
    assert "in 19 ways a section, where at least 9" in note
    assert (
        "in 99 ways a section, where at least 100%"
        in analyse(Colocalisation(permutations=999), material).attrs["note"]
    )
    assert "l = 300 µm, up to" in analyse(Colocalisation(300.0, permutations=19), material).attrs["note"]
    assert "observation counts as" in analyse(
        Colocalisation(with_itself=True, permutations=19), material).attrs["note"]  # fmt: skip


@pytest.mark.parametrize("component", [Colocalisation(permutations=39), ColocalisationSimilarity()])
def test_order_of_rows_does_not_matter_and_seeds_repeat(component, material, rng):
    order = rng.permutation(200)
    places = Places(
        material.places.um[order], material.places.sample[order], material.places.grid[order], "square"
    )
    roles = {role: Abundance(one.values[order], TYPES) for role, one in material.abundances.items()}
    one, two = analyse(component, material), analyse(component, material)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    pd.testing.assert_frame_equal(one, analyse(component, replace(material, places=places, abundances=roles)))


def test_cells_without_an_array_and_sections_without_names(material):
    places = Places(material.places.um + np.arange(400.0).reshape(200, 2) % 7, material.places.sample)
    table = analyse(Colocalisation(permutations=29), replace(material, places=places, samples=()))
    assert set(table["sample"]) == {"0", "1"}
    assert table.loc[table["of"] == "guess", "pvalue"].notna().all()


def test_a_section_with_too_few_observations_is_named(material):
    sample = np.where(np.arange(200) == 7, 2, material.places.sample)
    places = replace(material.places, sample=sample)
    table = analyse(
        Colocalisation(permutations=19), replace(material, places=places, samples=("A1", "B1", "C1"))
    )
    assert set(table["sample"]) == {"A1", "B1"}
    assert "Too few lie in C1." in table.attrs["note"]


def naive_similarity(truth, guess, diagonal):
    t, values = len(truth), []
    for i in range(t):
        kept = [j for j in range(t) if diagonal or j != i]
        a, b = truth[i, kept], guess[i, kept]
        values.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    above = [(i, j) for i in range(t) for j in range(i + 1, t)]
    pair = [[r[i, j] for i, j in above] for r in (truth, guess)]
    return np.mean(values), np.corrcoef(*pair)[0, 1]


@pytest.mark.parametrize("diagonal", [False, True])
def test_similarity_against_loops(material, diagonal):
    table = analyse(ColocalisationSimilarity(diagonal=diagonal), material)
    assert list(table) == ["sample", "guess", "cosine", "correlation", "types"]
    assert list(table["types"]) == [4, 3]
    every = analyse(Colocalisation(permutations=19), material)
    for row, kept in ((0, slice(4)), (1, slice(3))):
        sample = table["sample"][row]
        truth, guess = (maps(every, sample, role)[kept, kept] for role in ("truth", "guess"))
        want = naive_similarity(truth, guess, diagonal)
        assert np.allclose(table.loc[row, ["cosine", "correlation"]].astype(float), want)
    assert ("Rows are compared with a" in table.attrs["note"]) == diagonal


def test_the_truth_is_most_like_itself_and_a_constant_guess_is_like_nothing(material):
    truth = material.abundances["truth"].values
    same = analyse(ColocalisationSimilarity(), changed(material, "guess", truth))
    assert np.allclose(same[["cosine", "correlation"]], 1)
    flat = analyse(ColocalisationSimilarity(), changed(material, "guess", np.full(truth.shape, 0.3)))
    assert (flat[["cosine", "correlation"]] == 0).all(axis=None)
    half = truth.copy()
    half[:, 1] = 0.5  # guessed constant: its row counts 0, and so do its columns
    found = analyse(ColocalisationSimilarity(), changed(material, "guess", half))
    assert (found["cosine"] < same["cosine"]).all()


def test_similarity_of_too_few_types_is_no_number():
    assert np.isnan(cosine(np.ones((1, 1)), np.ones((1, 1)), diagonal=False))
    assert np.isnan(correlation(np.ones((2, 2)), np.ones((2, 2))))
    assert np.isnan(cosine(np.ones((0, 0)), np.ones((0, 0)), diagonal=True))


@pytest.mark.parametrize("component", [Colocalisation(), ColocalisationSimilarity()])
def test_all_faults_are_told_together(component, material):
    name = "colocalisation" + "-similarity" * isinstance(component, ColocalisationSimilarity)
    with pytest.raises(DataError, match=f"{name}: no abundances were given. In a recipe, name them"):
        analyse(component, replace(material, abundances={}))
    bad = material.abundances["truth"].values.copy()
    bad[0, 0] = np.inf
    roles = {
        "truth": Abundance(bad, TYPES),
        "guess": Abundance(bad[:9], TYPES[:3]),
        "twice": Abundance(bad, ("a",) * 4),
    }
    with pytest.raises(DataError) as caught:
        analyse(component, replace(material, abundances=roles))
    told = str(caught.value)
    assert "1 values of truth are infinite" in told
    assert "guess has 9 rows and the places 200" in told
    assert "guess has 4 columns and names of 3 types" in told
    assert "twice names a type twice" in told


def test_roles_that_cannot_be_compared_are_refused(material):
    component, (truth, guess) = ColocalisationSimilarity(), material.abundances.values()
    with pytest.raises(DataError, match="no role is called truth; there is: known, guess"):
        analyse(component, replace(material, abundances={"known": truth, "guess": guess}))
    with pytest.raises(DataError, match="there is no role beside truth. Name a guess"):
        analyse(component, replace(material, abundances={"truth": truth}))
    other = Abundance(guess.values, ("tumour", "stroma", "immune", "nerve"))
    with pytest.raises(DataError, match="guess has other types than truth: it adds nerve and lacks fat"):
        analyse(component, replace(material, abundances={"truth": truth, "guess": other}))
    turned = Abundance(guess.values, TYPES[::-1])
    with pytest.raises(DataError, match="guess has other types than truth: their order differs"):
        analyse(component, replace(material, abundances={"truth": truth, "guess": turned}))
    assert (
        len(analyse(Colocalisation(permutations=19), replace(material, abundances={"a": truth, "b": other})))
        == 40
    )


def test_places_that_tell_no_neighbours_are_refused(material):
    with pytest.raises(
        DataError, match="within 30 µm, and the median distance to the nearest observation is 200"
    ):
        analyse(Colocalisation(length_um=10.0), material)
    heap = replace(material, places=Places(np.zeros((200, 2)), material.places.sample))
    with pytest.raises(DataError, match="nearest observation is 0.0 µm: no length. Give length_um"):
        analyse(Colocalisation(), heap)
    unknown = np.full((200, 4), np.nan)
    unknown[:2] = 1
    with pytest.raises(
        DataError, match="2 of 200 observations are known to every role; there must be 3 in a section"
    ):
        analyse(Colocalisation(), changed(material, "guess", unknown))
    with pytest.raises(DataError, match="0 of 200 observations are known to every role"):
        analyse(Colocalisation(), changed(material, "guess", np.full((200, 4), np.nan)))


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="permutations must be 19 or more; 199 gives"):
        Colocalisation(permutations=18)
    for component in (Colocalisation, ColocalisationSimilarity):
        with pytest.raises(ValueError, match="length_um must be a length in µm, or 0"):
            component(length_um=-1.0)
        with pytest.raises(ValueError, match="cutoff must be above 0"):
            component(cutoff=0.0)


@pytest.mark.data
def test_types_of_a_real_section(real_data):
    import triptych

    table = triptych.read(str(real_data / "her2st"), samples=["C2", "C3"])
    known = table.obsm["abundance"]
    codes, names = pd.factorize(table.obs["sample"].astype(str))
    grid = table.obs[["array_col", "array_row"]].to_numpy(int)
    places = Places(np.asarray(table.obsm["spatial_um"]), codes, grid, "square")
    roles = {"truth": Abundance(known.to_numpy(float), tuple(known.columns))}
    found = analyse(
        Colocalisation(), Material(codes, tuple(names), places, abundances=roles, samples=tuple(names))
    )
    own = found[found["type"] == found["other"]]
    assert (own["r"] > 0).mean() > 0.9  # neighbours are alike
    assert found["pvalue"].between(0.005, 1).all()
