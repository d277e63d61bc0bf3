"""The graph transformer of pixels: trained from end to end, on windows of 40 px."""

from dataclasses import replace

import numpy as np
import pytest

from triptych.core.abundance import Abundance
from triptych.core.errors import DataError, WeightsError
from triptych.core.protocols import Places
from triptych.predictors import registry
from triptych.predictors.graph_transformer_pixels import GraphTransformerPixels

SMALL = GraphTransformerPixels(tile_px=40, epochs=2, neighbours=4, radius_um=250.0, batch=25, lr=2e-3)


class Windows:
    """Pixels that lie in memory; notes what was asked for."""

    def __init__(self, pixels):
        self.pixels, self.asked = pixels, []

    def __len__(self):
        return len(self.pixels)

    def take(self, rows):
        self.asked.append(np.asarray(rows))
        return self.pixels[rows]


def study(sections=2, side=5, seed=0):
    """How red a window is, is the abundance of a; how blue, of b."""
    rng = np.random.default_rng(seed)
    n = sections * side**2
    grid = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2) * 200.0
    places = Places(np.tile(grid, (sections, 1)), np.repeat(np.arange(sections), side**2))
    tint = rng.uniform(60, 200, (n, 1, 1, 3))
    pixels = np.clip(tint + rng.normal(0, 20, (n, 40, 40, 3)), 0, 255).astype(np.uint8)
    return {"windows": Windows(pixels)}, Abundance(tint[:, 0, 0, ::2] / 200, ("a", "b")), places


@pytest.fixture(scope="module", autouse=True)
def _narrow():
    """A residual network of the same depth and few planes, so that it is trained in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triptych.nets.residual.WIDTHS", (8, 8, 16, 32))
        patch.setattr("triptych.predictors.graph_transformer_pixels.FEATURES", 32)
        yield


@pytest.fixture(scope="module")
def fitted(_narrow):
    views, target, places = study()
    return SMALL.fit(views, target, places, places.sample, np.random.default_rng(0))


def test_it_learns_from_pixels():
    views, target, places = study(3)
    model = replace(SMALL, epochs=10, batch=12).fit(
        views, target, places, places.sample, np.random.default_rng(0)
    ).model  # fmt: skip
    new, truth, where = study(1, seed=4)
    guess = model.apply(new, where).values
    assert min(np.corrcoef(guess[:, k], truth.values[:, k])[0, 1] for k in range(2)) > 0.6


def test_the_same_seed_gives_the_same_bits(fitted):
    views, target, places = study()
    again = SMALL.fit(views, target, places, places.sample, np.random.default_rng(0))
    np.testing.assert_array_equal(again.value.values, fitted.value.values)
    np.testing.assert_array_equal(again.value.high, fitted.value.high)


def test_a_prediction_does_not_depend_on_what_else_is_predicted(fitted, monkeypatch):
    views, _, places = study(2, seed=5)
    pixels, whole = views["windows"].pixels, fitted.model.apply(views, places)
    monkeypatch.setattr("triptych.predictors.graph_transformer_windows.PART", 7)
    for rows in (np.random.default_rng(0).permutation(50), np.arange(25, 50)):
        where = Places(places.um[rows], places.sample[rows])
        some = fitted.model.apply({"windows": Windows(pixels[rows])}, where)
        np.testing.assert_allclose(some.values, whole.values[rows], atol=1e-5)


def test_a_section_of_one_spot_is_no_obstacle():
    views, target, places = study()
    sample = places.sample.copy()
    sample[0] = 2
    places = Places(places.um, sample)
    guess = replace(SMALL, epochs=1).fit(views, target, places, sample, np.random.default_rng(0)).value
    assert np.isfinite(guess.values).all()


def test_windows_are_asked_for_in_neighbourhoods_and_once_at_prediction(fitted):
    views, _, places = study(2, seed=5)
    fitted.model.apply(views, places)
    asked = [rows for rows in views["windows"].asked if len(rows) > 1]
    np.testing.assert_array_equal(np.sort(np.concatenate(asked)), np.arange(50))


def test_a_model_comes_back_from_its_folder(fitted, tmp_path):
    views, _, places = study(1, seed=5)
    fitted.model.save(tmp_path)
    again = SMALL.restore(tmp_path)
    np.testing.assert_array_equal(again.apply(views, places).values, fitted.model.apply(views, places).values)
    kept = {name: value for name, value in fitted.model.networks.items() if "embedder" not in name}
    with pytest.raises(ValueError, match="do not fit each other"):
        replace(fitted.model, networks=kept)


def test_it_may_begin_with_weights(tmp_path):
    import torch
    from safetensors.torch import save_file

    from triptych.nets.residual import Residual

    views, target, places = study()
    begun = replace(SMALL, weights=str(tmp_path), epochs=1)
    with pytest.raises(WeightsError, match="resnet-18"):
        begun.fit(views, target, places, places.sample, np.random.default_rng(0))
    prints = []
    for seed in range(2):
        state = Residual(torch.Generator().manual_seed(seed)).state_dict()
        save_file({f"resnet.{name}": value for name, value in state.items()}, tmp_path / "model.safetensors")
        prints.append(begun.fingerprint())
    assert prints[0] != prints[1]
    assert SMALL.fingerprint() == ""
    given = begun.fit(views, target, places, places.sample, np.random.default_rng(0)).value
    drawn = replace(begun, weights="").fit(views, target, places, places.sample, np.random.default_rng(0))
    assert np.abs(given.values - drawn.value.values).max() > 1e-4


def test_what_is_no_source_of_windows_is_refused(fitted):
    views, target, places = study()
    for bad in ({"windows": [1, 2]}, {"image": views["windows"]}, {}):
        with pytest.raises(DataError, match="it takes one view, windows"):
            SMALL.fit(bad, target, places, places.sample, np.random.default_rng(0))
    with pytest.raises(DataError, match=r"windows have the shape \(\), not 40 × 40 × 3"):
        SMALL.fit({"windows": np.zeros((50, 3))}, target, places, places.sample, np.random.default_rng(0))
    few = {"windows": Windows(np.zeros((4, 16, 16, 3), np.uint8))}
    with pytest.raises(DataError) as caught:
        fitted.model.apply(few, places)
    assert "4 windows and 50 places" in str(caught.value)
    assert "shape (16, 16, 3), not 40 × 40 × 3" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("tile_px", 16, "tile_px must be from 40 to 1024"),
        ("window_um", 0.0, "window_um must be positive"),
        ("window_px", -1, "window_px must be at least 1, or 0"),
        ("folds", 1, "folds must be at least 2"),
        ("neighbours", 0, "neighbours must be at least 1"),
        ("radius_um", -1.0, "radius_um must be above 0"),
    ],
)
def test_parameters_out_of_range_are_refused(field, value, told):
    with pytest.raises(ValueError, match=told):
        registry.make("graph-transformer-pixels", {field: value})
