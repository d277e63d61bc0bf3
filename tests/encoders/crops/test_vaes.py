"""The autoencoders of crops: what they give, what they refuse, what they keep."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from triptych.core.errors import DataError, RecipeError, TriptychWarning
from triptych.core.protocols import CropEncoder, Crops, Molecules
from triptych.encoders import registry
from triptych.encoders.crops.dual_vae import DualVae
from triptych.encoders.crops.spot_vae import SpotVae
from triptych.encoders.crops.stain_vae import StainVae
from triptych.encoders.crops.vae_fitted import FittedVae

SMALL = {"crop_px": 31, "channels": (4, 4, 4), "latent": 3, "epochs": 1, "batch": 8}
ALL = {
    "spot-vae": SpotVae(**SMALL),
    "stain-vae": StainVae(**SMALL),
    "dual-vae": DualVae(**SMALL, stain_channels=(2, 4, 4), least_transcripts=3),
}
SPOTS, STAINS = ("spot-vae", "dual-vae"), ("stain-vae", "dual-vae")


def some_crops(n=14, genes=6, sections=2, seed=0):
    """Cells well inside their stains, each molecule assigned to the cell on whose crop it surely lies."""
    rng = np.random.default_rng(seed)
    sample, centres = np.arange(n) % sections, rng.uniform(30, 130, (n, 2))
    molecules, pixels = [], []
    for section in range(sections):
        rows = np.flatnonzero(sample == section)
        px = rng.uniform(0, 160, (900, 2)).astype(np.float32)
        far, near = cKDTree(centres[rows]).query(px)
        molecules.append(Molecules(px, rng.integers(0, genes, 900), np.where(far < 10, rows[near], -1)))
        pixels.append(tuple(rng.integers(0, 4096, (160, 165), dtype=np.uint16) for _ in "ab"))
    names = np.array([f"g{i}" for i in range(genes)])
    return Crops(
        centres, sample, (0.1,) * sections, ("DAPI", "Membrane"), tuple(pixels), names, tuple(molecules)
    )


def some_rows(crops, rows):
    place = np.full(len(crops.sample) + 1, -1)
    place[rows] = np.arange(len(rows))
    molecules = tuple(replace(section, cell=place[section.cell]) for section in crops.molecules)
    return replace(crops, centres_px=crops.centres_px[rows], sample=crops.sample[rows], molecules=molecules)


def fitted(component, crops, seed=0):
    return component.fit(crops, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def crops():
    return some_crops()


@pytest.fixture(scope="module")
def models(crops):
    return {name: fitted(component, crops).model for name, component in ALL.items()}


def same(one, other):
    return one.tobytes() == other.tobytes()


def test_defaults_are_those_of_the_paper():
    spot, stain, dual = (registry.make(name) for name in ALL)
    assert (spot.crop_px, spot.channels, spot.lr, spot.batch, spot.epochs) == (100, (115,) * 5, 5e-4, 8, 15)
    assert (spot.spot_px, spot.dice, spot.focal, spot.gene_weights) == (5, 1.0, 0.2, True)
    assert (stain.crop_px, stain.channels, stain.lr) == (300, (4, 8, 12, 24, 48), 5e-5)
    assert (stain.batch, stain.epochs) == (16, 500)
    assert (dual.crop_px, dual.channels, dual.stain_channels) == (200, (240,) * 5, (4, 8, 16, 32, 64))
    assert (dual.lr, dual.batch, dual.epochs, dual.eps, dual.decay) == (5e-4, 20, 30, 1e-6, 1e-5)
    assert (dual.dice, dual.focal, dual.least_transcripts) == (0.8, 0.4, 100)
    assert {one.latent for one in (spot, stain, dual)} == {50}
    assert {one.beta for one in (spot, stain, dual)} == {0.0}


@pytest.mark.parametrize("name", ALL)
def test_codes_are_single_precision_and_the_same_for_the_same_seed(name, crops):
    component = ALL[name]
    assert isinstance(component, CropEncoder)
    value, model = fitted(component, crops)
    assert value.shape == (14, 3)
    assert value.dtype == np.float32
    assert np.isfinite(value).all()
    assert same(component.encode(crops, np.random.default_rng(0)), value)
    assert same(model.apply(crops), value)
    assert not np.allclose(fitted(component, crops, seed=1).value, value)


@pytest.mark.parametrize("name", ALL)
def test_a_saved_model_gives_the_same_bits(name, crops, models, tmp_path):
    models[name].save(tmp_path)
    again = ALL[name].restore(tmp_path)
    assert isinstance(again, FittedVae)
    assert again.plan == ALL[name].plan()
    assert same(again.apply(crops), models[name].apply(crops))
    for part in ("losses", "pictures"):
        one, other = getattr(again, part), getattr(models[name], part)
        assert one.keys() == other.keys()
        assert all(same(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ALL)
def test_a_code_does_not_depend_on_its_company(name, crops, models):
    rows = np.array([11, 2, 5])
    assert np.allclose(models[name].apply(some_rows(crops, rows)), models[name].apply(crops)[rows], atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_it_keeps_losses_and_pictures(name, models):
    model = models[name]
    spots, stains = name in SPOTS, name in STAINS
    shown = (["transcripts"] if spots else []) + (["DAPI", "Membrane"] if stains else [])
    assert sorted(model.pictures) == sorted(shown)
    assert all(one.shape == (6, 2, 31, 31) and one.dtype == np.uint8 for one in model.pictures.values())
    terms = {"total"} | ({"transcripts"} if spots else set()) | ({"stains"} if stains else set())
    assert set(model.losses) == terms
    assert model.mpp == pytest.approx(0.1)


def test_sigma_stands_beside_the_mean(crops):
    value, model = fitted(replace(ALL["dual-vae"], output="mean-and-sigma"), crops)
    assert value.shape == (14, 6)
    assert (value[:, 3:] > 0).all()
    assert same(value[:, :3], replace(ALL["dual-vae"]).encode(crops, np.random.default_rng(0)))
    assert same(model.apply(crops), value)


def test_rare_genes_are_left_out(crops):
    few = tuple(
        replace(section, gene=np.where((section.gene == 2) & (np.arange(900) > 5), 3, section.gene))
        for section in crops.molecules
    )
    model = fitted(ALL["dual-vae"], replace(crops, molecules=few)).model
    left = sum(int((section.gene == 2).sum()) for section in few)
    assert ("g2" in model.genes) == (left >= 3)
    model = fitted(replace(ALL["spot-vae"], least_transcripts=left + 1), replace(crops, molecules=few)).model
    assert model.genes == ("g0", "g1", "g3", "g4", "g5")


def test_stains_are_those_that_are_named(crops):
    model = fitted(replace(ALL["stain-vae"], stains=("Membrane",)), crops).model
    assert model.stains == ("Membrane",)
    other = replace(crops, stains=("Membrane", "DAPI"), pixels=tuple(pair[::-1] for pair in crops.pixels))
    assert same(model.apply(other), model.apply(crops))


def test_own_molecules_are_those_assigned(crops):
    nobody = tuple(replace(section, cell=np.full(900, -1)) for section in crops.molecules)
    own = replace(ALL["spot-vae"], molecules="own")
    assert not np.allclose(fitted(own, crops).value, fitted(ALL["spot-vae"], crops).value)
    with pytest.raises(
        DataError, match="none of the 14 crops of 31 px holds a molecule assigned to its cell"
    ):
        fitted(own, replace(crops, molecules=nobody))


@pytest.mark.parametrize("name", SPOTS)
def test_genes_are_found_by_name_and_absent_ones_are_empty(name, crops, models):
    order = np.array([3, 1, 5, 0, 2, 4])
    place = np.argsort(order)
    turned = tuple(replace(section, gene=place[section.gene]) for section in crops.molecules)
    assert same(
        models[name].apply(replace(crops, genes=crops.genes[order], molecules=turned)),
        models[name].apply(crops),
    )
    renamed = np.where(np.isin(crops.genes, ["g0", "g1", "g2"]), np.char.add("h", crops.genes), crops.genes)
    kept = tuple(
        Molecules(*(part[section.gene > 2] for part in (section.px, section.gene, section.cell)))
        for section in crops.molecules
    )
    assert same(
        models[name].apply(replace(crops, genes=renamed)), models[name].apply(replace(crops, molecules=kept))
    )


@pytest.mark.parametrize("name", SPOTS)
def test_half_of_the_genes_must_be_there(name, crops, models):
    strangers = np.where(crops.genes == "g5", crops.genes, np.char.add("h", crops.genes))
    with pytest.raises(DataError, match=f"{name}: 5 of 6 genes of the fit are missing: g0, g1, g2, g3, g4"):
        models[name].apply(replace(crops, genes=strangers))


@pytest.mark.parametrize("name", STAINS)
def test_all_stains_must_be_there(name, crops, models):
    other = replace(crops, stains=("DAPI", "PolyT"))
    with pytest.raises(DataError, match=f"{name}: the data have no stain Membrane; they have DAPI, PolyT"):
        models[name].apply(other)
    with pytest.raises(DataError, match="no stain Actin"):
        fitted(replace(ALL[name], stains=("Actin",)), crops)
    with pytest.raises(DataError, match="the data have no stains"):
        fitted(ALL[name], replace(crops, stains=(), pixels=()))


@pytest.mark.parametrize("name", ALL)
def test_pixels_must_be_of_the_size_of_the_fit(name, crops, models):
    assert same(models[name].apply(replace(crops, mpp=(0.104, 0.1))), models[name].apply(crops))
    assert same(models[name].apply(replace(crops, mpp=(np.nan, 0.1))), models[name].apply(crops))
    with pytest.raises(DataError, match="measure 0.2 µm, those of the fit 0.1 µm; crops of 31 px show other"):
        models[name].apply(replace(crops, mpp=(0.2, 0.1)))
    with pytest.raises(DataError, match=r"pixels of the sections measure 0.1, 0.2 µm"):
        fitted(ALL[name], replace(crops, mpp=(0.2, 0.1)))


@pytest.mark.parametrize("name", ALL)
def test_fewer_than_two_cells_are_refused(name, crops):
    for rows, words in (([], "there are 0"), ([3], "there is 1")):
        with pytest.raises(DataError, match=f"{name}.*at least 2 cells; {words}"):
            fitted(ALL[name], some_rows(crops, np.array(rows, int)))


def test_nothing_to_be_seen_is_refused_all_at_once(crops):
    nothing = tuple(Molecules(*(part[:0] for part in vars(s).values())) for s in crops.molecules)
    with pytest.raises(
        DataError, match=r"dual-vae: 2 faults\n.*no molecules.*\n.*less than crops of 163 px"
    ) as caught:
        fitted(replace(ALL["dual-vae"], crop_px=163), replace(some_crops(sections=1), molecules=nothing[:1]))
    assert "measure 165 × 160 px" in str(caught.value)
    flat = tuple((np.full_like(pair[0], 7), pair[1]) for pair in crops.pixels)
    away = tuple(replace(section, px=section.px + 5000) for section in crops.molecules)
    with pytest.raises(
        DataError, match=r"2 faults\n.*none of the 14 crops of 31 px holds a molecule\.\n.*DAPI: constant"
    ):
        fitted(ALL["dual-vae"], replace(crops, pixels=flat, molecules=away))
    with pytest.raises(DataError, match="no gene has 5000 molecules or more"):
        fitted(replace(ALL["spot-vae"], least_transcripts=5000), crops)
    dark = tuple((pair[0].astype(np.float32) * np.nan, pair[1]) for pair in crops.pixels)
    with pytest.raises(DataError, match="grey values that are not finite"):
        fitted(ALL["stain-vae"], replace(crops, pixels=dark))


@pytest.mark.parametrize("name", ALL)
def test_what_is_cut_off_is_said(name, crops, models):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models[name].apply(crops)
    edge = crops.centres_px.copy()
    edge[:3] = 4, 80
    moved = replace(crops, centres_px=edge)
    for run in (models[name].apply, lambda given: fitted(ALL[name], given)):
        with pytest.warns(TriptychWarning) as caught:
            run(moved)
        said = " ".join(str(one.message) for one in caught)
        assert ("molecules of these cells lie outside the crop of 31 px" in said) == (name in SPOTS)
        assert ("3 of 14 crops reach beyond the image" in said) == (name in STAINS)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("spot-vae", {"crop_px": 31}, "crop_px must be at least 32 for 5 blocks, not 31"),
        ("spot-vae", {"spot_px": 4}, "spot_px must be odd and at least 1, not 4"),
        ("spot-vae", {"channels": ()}, "channels must name at least one block"),
        ("spot-vae", {"channels": (4, 0)}, "each of at least 1 channel"),
        ("dual-vae", {"channels": (4, 4)}, "channels and stain_channels must name as many blocks"),
        ("spot-vae", {"batch": 2}, "batch must be at least 3, not 2"),
        ("stain-vae", {"latent": 0}, "latent must be at least 1, not 0"),
        ("stain-vae", {"epochs": 0}, "epochs must be at least 1, not 0"),
        ("spot-vae", {"least_transcripts": 0}, "least_transcripts must be at least 1, not 0"),
        ("stain-vae", {"lr": 0}, "lr must be positive, not 0.0"),
        ("stain-vae", {"eps": float("nan")}, "eps must be positive, not nan"),
        ("stain-vae", {"beta": -1}, "beta must not be negative, not -1.0"),
        ("spot-vae", {"alpha": 1.5}, r"alpha must be in \[0, 1\], not 1.5"),
        ("spot-vae", {"smooth": 0}, "smooth must be positive, not 0.0"),
        ("spot-vae", {"dice": 0, "focal": 0}, "dice and focal are both 0"),
    ],
)
def test_parameters_out_of_range_are_refused(name, params, words):
    with pytest.raises(RecipeError, match=words):
        registry.make(name, params)


@pytest.mark.parametrize("name", ["stain-vae", "dual-vae"])
def test_a_channel_can_be_left_out(name, crops):
    model = fitted(replace(ALL[name], stains=(f"-{crops.stains[0]}",)), crops).model
    assert model.stains == crops.stains[1:]
    assert np.isfinite(model.apply(crops)).all()
