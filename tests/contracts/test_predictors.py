"""Every predictor: abundances with intervals, repeatable; its model knows what the fit told it and no more.

One that ``takes`` ``windows`` is given pixels of 40 px that lie in memory. One with ``radius_um`` looks at
the spots around each, so its predictions are judged a section at a time, those of others a row at a time.
"""

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError
from triptych.core.protocols import Places
from triptych.predictors import registry
from triptych.predictors.inputs import taken

TYPES = ("T", "B cell", "NK")  # in an order that no sorting gives
FEW = {"tile_px": 40, "members": 2, "folds": 2}
WINDOWS = [name for name in registry if registry.find(name).takes == "windows"]
VIEWS = [name for name in registry if name not in WINDOWS]
FIXED = [name for name in registry if not registry.find(name).random]
AROUND = [name for name in registry if "radius_um" in {field.name for field in fields(registry.find(name))}]
SCALED = [name for name in registry if "scale" in {field.name for field in fields(registry.find(name))}]
NAMES = pytest.mark.parametrize("name", list(registry))
NARROW = {
    "triptych.nets.residual.WIDTHS": (4, 4, 8, 16),
    "triptych.predictors.graph_transformer_pixels.FEATURES": 16,
}
ELSEWHERE = """
import sys
from pathlib import Path

import numpy as np
import pytest

from triptych.core.protocols import Places
from triptych.predictors import registry

for target, value in {narrow}.items():
    pytest.MonkeyPatch().setattr(target, value)


class Windows:
    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def take(self, rows):
        return self.pixels[rows]


folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
places = Places(given["um"], given["sample"])
for name in sys.argv[2:]:
    cls = registry.find(name)
    views = {{"rna": given["rna"], "img": given["img"]}}
    if cls.takes == "windows":
        views = {{"windows": Windows(given["windows"])}}
    found = cls().restore(folder / name).apply(views, places)
    np.save(folder / f"{{name}}.npy", np.stack([found.values, found.low, found.high]))
"""


class Windows:
    """Pixels that lie in memory, and some of them by an index."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, rows):
        return Windows(self.pixels[rows])

    def take(self, rows):
        return self.pixels[rows]


def study(seed=0, sections=3, side=5):
    """Sections of spots 100 µm apart, rows mixed; views and windows tell how much of each type there is."""
    rng = np.random.default_rng(seed)
    n = sections * side**2
    order = rng.permutation(n)
    grid = np.tile(np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2) * 100.0, (sections, 1))
    places = Places(grid[order], np.repeat(np.arange(sections), side**2)[order])
    tint = rng.uniform(60, 200, (n, 1, 1, 3))
    pixels = np.clip(tint + rng.normal(0, 20, (n, 40, 40, 3)), 0, 255).astype(np.uint8)
    known = tint[:, 0, 0] / 100
    views = {
        "rna": known @ np.array([[1.0, -1, 0, 2], [0, 1, 1, -1], [2, 0, 1, 0]]) + rng.normal(0, 0.3, (n, 4)),
        "img": rng.normal(5, 3, (n, 5)),
        "windows": Windows(pixels),
    }
    return views, Abundance(known + rng.uniform(0, 0.2, known.shape), TYPES), places


@pytest.fixture(scope="module", autouse=True)
def _narrow():
    """A residual network of the same depth and few planes, so that it is trained in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        for target, value in NARROW.items():
            patch.setattr(target, value)
        yield


@pytest.fixture
def component(name, small):
    return small(registry, name, **FEW)


def wanted(name, views):
    """Those views of a study that a predictor takes."""
    return {role: view for role, view in views.items() if (role == "windows") == (name in WINDOWS)}


def fit(component, name, given, seed=0):
    views, target, places = given
    return component.fit(wanted(name, views), target, places, places.sample, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def fitted(name, component, kept):
    """The fit of each predictor on the same study, made once."""
    if name not in kept:
        kept[name] = fit(component, name, study())
    return kept[name]


@pytest.fixture
def new(name):
    """Views and places of two sections that no fit has seen."""
    views, _, places = study(seed=7, sections=2)
    return wanted(name, views), places


def parts(found):
    return np.stack([found.values, found.low, found.high])


def alike(one, other, atol=1e-5):
    """Sums over other rows in one product are rounded otherwise, so this is near and not the same bits."""
    return np.allclose(parts(one), parts(other), rtol=0, atol=atol)


@NAMES
def test_contract(name, component, declares, unchanged, fitted):
    declares(registry, name, component)
    assert component.takes in ("views", "windows")
    views, target, places = study()
    unchanged(target.values, places.um, places.sample, views["rna"], views["img"], views["windows"].pixels)
    value, model = fit(component, name, (views, target, places))
    assert type(value) is Abundance
    assert value.types == TYPES
    assert value.values.shape == value.low.shape == value.high.shape == (75, 3)
    assert np.isfinite(parts(value)).all()
    assert (value.low >= 0).all()
    assert (value.low <= value.values).all()
    assert (value.values <= value.high).all()
    assert parts(value).tobytes() == parts(fitted.value).tobytes()  # of the same seed
    assert alike(model.apply(wanted(name, views), places), value)


@NAMES
def test_new_observations_get_what_the_contract_says_too(name, fitted, new, unchanged):
    views, places = new
    unchanged(places.um, places.sample, *(getattr(view, "pixels", view) for view in views.values()))
    found = fitted.model.apply(views, places)
    assert found.types == TYPES
    assert found.values.shape == found.low.shape == found.high.shape == (50, 3)
    assert np.isfinite(parts(found)).all()
    assert ((found.low >= 0) & (found.low <= found.values) & (found.values <= found.high)).all()
    assert parts(found).tobytes() == parts(fitted.model.apply(views, places)).tobytes()


@pytest.mark.parametrize("name", FIXED)
def test_order_of_rows_in_the_fit_does_not_matter(name, component, fitted, new):
    """To those that draw nothing; others draw their batches in the order of the rows."""
    (views, target, places), order = study(), np.random.default_rng(1).permutation(75)
    moved, where = taken(views, places, order)
    other = fit(component, name, (moved, Abundance(target.values[order], TYPES), where))
    assert alike(other.model.apply(*new), fitted.model.apply(*new), atol=1e-6)


@NAMES
def test_order_of_new_rows_does_not_matter(name, fitted, new):
    order = np.random.default_rng(1).permutation(50)
    whole = fitted.model.apply(*new)
    moved = fitted.model.apply(*taken(*new, order))
    assert np.allclose(parts(moved), parts(whole)[:, order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", VIEWS)
def test_order_of_roles_does_not_matter(name, component, fitted, new):
    views, target, places = study()
    other = fit(component, name, (dict(reversed(views.items())), target, places))
    one, two = fitted.model.apply(*new), other.model.apply(dict(reversed(new[0].items())), new[1])
    assert parts(one).tobytes() == parts(two).tobytes()


@NAMES
def test_a_prediction_does_not_depend_on_what_else_is_predicted(name, fitted, new):
    """A part of what was asked at once, a whole section where neighbours are looked at."""
    sample = new[1].sample
    rows = np.flatnonzero(sample == 1) if name in AROUND else np.flatnonzero(np.arange(50) % 3 == 1)
    alone, whole = fitted.model.apply(*taken(*new, rows)), fitted.model.apply(*new)
    assert np.allclose(parts(alone), parts(whole)[:, rows], rtol=0, atol=1e-5)


@NAMES
def test_poison_in_one_section_does_not_reach_another(name, fitted, new):
    """Whatever another section holds, the predictions of this one have the same bits."""
    views, places = new
    other = places.sample == 1
    poisoned = {}
    for role, view in views.items():
        values = (view.pixels if role == "windows" else view).copy()
        values[other] = 255 - values[other] if role == "windows" else 1e3 * values[other] - 7
        poisoned[role] = Windows(values) if role == "windows" else values
    one, two = (parts(fitted.model.apply(given, places)) for given in (views, poisoned))
    assert one[:, ~other].tobytes() == two[:, ~other].tobytes()


@pytest.mark.parametrize("name", SCALED)
def test_by_section_each_section_is_scaled_by_itself(name, small, new):
    """What a stain adds to all of a section, or takes from it by a factor, is then nothing."""
    component = small(registry, name, **FEW, scale="section")
    model, (views, places) = fit(component, name, study()).model, new
    whole, rows = model.apply(views, places), np.flatnonzero(places.sample == 1)
    alone = model.apply(*taken(views, places, rows))
    assert np.allclose(parts(alone), parts(whole)[:, rows], rtol=0, atol=1e-5)
    stained = {role: 3 * view + 10 for role, view in views.items()}
    assert alike(model.apply(stained, places), whole, atol=1e-4)


@NAMES
def test_a_restored_model_gives_the_same_bits(name, component, fitted, new, restored, same_bits):
    model = restored(component, fitted.model)
    same_bits(parts(model.apply(*new)), parts(fitted.model.apply(*new)))


@NAMES
def test_damaged_models_are_refused(name, component, fitted, refuses_damage):
    refuses_damage(component, fitted.model)


def test_a_new_process_gives_the_same_bits(small, kept, tmp_path):
    """All models at once, for starting a process is what takes long."""
    views, _, places = study(seed=7, sections=2)
    arrays = {"rna": views["rna"], "img": views["img"], "windows": views["windows"].pixels}
    np.savez(tmp_path / "given.npz", um=places.um, sample=places.sample, **arrays)
    for name in registry:
        if name not in kept:
            kept[name] = fit(small(registry, name, **FEW), name, study())
        kept[name].model.save(tmp_path / name)
    program = [sys.executable, "-c", ELSEWHERE.format(narrow=NARROW), str(tmp_path), *registry]
    subprocess.run(program, check=True, timeout=200)
    for name in registry:
        expected = parts(kept[name].model.apply(wanted(name, views), places))
        assert np.load(tmp_path / f"{name}.npy").tobytes() == expected.tobytes(), name


@NAMES
def test_a_section_of_which_nothing_is_known_is_not_learned_from(name, component, new):
    """It is predicted. Whatever it holds, however large, no bit of the model follows from it."""
    views, target, places = study()
    unknown = (places.sample == 2)[:, None]
    poisoned = {
        role: view if role == "windows" else np.where(unknown, 1e3 * view - 7, view)
        for role, view in views.items()
    }
    pixels = views["windows"].pixels
    poisoned["windows"] = Windows(np.where(unknown[:, :, None, None], 255 - pixels, pixels))
    some = Abundance(np.where(unknown, np.nan, target.values), TYPES)
    one, other = (fit(component, name, (given, some, places)) for given in (views, poisoned))
    assert np.isfinite(parts(one.value)).all()
    assert parts(one.model.apply(*new)).tobytes() == parts(other.model.apply(*new)).tobytes()


@NAMES
def test_a_narrower_interval_is_asked_for_by_its_level(name, small, new):
    """The level changes how wide the interval is, and no bit of the guess."""
    found = [
        fit(small(registry, name, **FEW, level=level), name, study()).model.apply(*new)
        for level in (0.5, 0.9)
    ]
    low, high = (one.high - one.low for one in found)
    assert found[0].values.tobytes() == found[1].values.tobytes()
    assert (low <= high).all()
    assert low.mean() < high.mean()


@pytest.mark.parametrize("name", VIEWS)
def test_views_other_than_those_of_the_fit_are_refused(name, fitted, new):
    views, places = new
    for given, told in (
        ({"rna": views["rna"]}, "img is missing"),
        (views | {"pos": places.um}, "pos is not among them"),
        (views | {"rna": views["rna"][:, :3]}, "the view rna has 3 columns; the model knows 4"),
        (views | {"rna": views["rna"][1:]}, "the view rna has 49 rows but there are 50 places"),
        (views | {"rna": views["rna"] * np.nan}, "the view rna has values that are not finite"),
    ):
        with pytest.raises(DataError, match=told):
            fitted.model.apply(given, places)


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_other_than_those_of_the_fit_are_refused(name, fitted, new):
    windows, places = new[0]["windows"], new[1]
    for given, told in (
        ({}, f"{name}: it takes one view, windows"),
        ({"img": windows}, f"{name}: it takes one view, windows"),
        ({"windows": windows[np.arange(49)]}, "49 windows and 50 places"),
        ({"windows": Windows(windows.pixels[:, :16, :16])}, r"windows have the shape \(16, 16, 3\)"),
    ):
        with pytest.raises(DataError, match=told):
            fitted.model.apply(given, places)


@NAMES
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda y: y * np.nan, "0 of 75 rows have an abundance; two are needed"),
        (lambda y: np.where(np.arange(75)[:, None] == 5, y, np.nan), "1 of 75 rows have an abundance"),
        (lambda y: y - 5, "some abundances are negative"),
        (lambda y: np.where(y == y.max(), np.inf, y), "some abundances are infinite"),
        (lambda y: np.where(y == y.max(), np.nan, y), "1 rows have an abundance of some types only"),
        (lambda y: y[1:], r"the abundance has shape \(74, 3\); 75 observations and 3 types need \(75, 3\)"),
    ],
)
def test_a_target_that_nothing_can_learn_from_is_refused(name, component, spoil, told):
    views, target, places = study()
    with pytest.raises(DataError, match=f"{name}: {told}"):
        fit(component, name, (views, Abundance(spoil(target.values), TYPES), places))


@NAMES
def test_rows_without_a_group_are_refused(name, component):
    views, target, places = study()
    groups = places.sample - (np.arange(75) == 4) * 5
    with pytest.raises(DataError, match=f"{name}: some rows have no group"):
        component.fit(wanted(name, views), target, places, groups, np.random.default_rng(0))
