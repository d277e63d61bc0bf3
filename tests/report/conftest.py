"""A made-up study of three sections with names that try to break out of the page."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triptych.pipeline.record import SCORE_COLUMNS, RunRecord, StepRecord

HOSTILE = "<script>alert(1)</script>"
SAMPLES = ["slide A $x", HOSTILE, '../../slide C & "D"']
LAYERS = ["Layer 1", "Layer 2", f"L3 {HOSTILE}", "WM"]
SPOTS = (18, 24)  # columns, rows
MPP, PITCH_PX = 0.5, 200.0


def hexagons() -> np.ndarray:
    """Full-resolution pixels of a Visium-like array, shape (n, 2)."""
    columns, rows = SPOTS
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.column_stack([(x + 0.5 * (y % 2)).ravel(), (y * np.sqrt(3) / 2).ravel()]) * PITCH_PX + 600


def tissue_image(folder: Path, xy: np.ndarray) -> Path:
    """A pink picture of the section at a fifth of the full resolution."""
    rng = np.random.default_rng(3)
    height, width = (int(v) for v in (xy.max(axis=0)[::-1] + 600) / 5)
    rows, columns = np.mgrid[:height, :width]
    inside = ((columns / width - 0.5) ** 2 + (rows / height - 0.5) ** 2) < 0.16
    pink = np.array([214, 160, 196]) - 50 * np.sin(6 * rows[..., None] / height) * [0.8, 1, 0.3]
    pixels = np.where(inside[..., None], pink + rng.normal(0, 12, (height, width, 1)), 243)
    path = folder / "tissue.jpg"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=85)
    return path


def make_table(image: str = "", samples: list[str] | None = None) -> ad.AnnData:
    """Sections with layers, a view, and domains that follow the layers with mistakes."""
    rng, samples = np.random.default_rng(0), samples or SAMPLES
    one = hexagons()
    depth = (one[:, 1] - 600) / (np.ptp(one[:, 1]) + 1) + 0.06 * np.sin(one[:, 0] / 700)
    layer = np.clip((depth * 4).astype(int), 0, 3)
    n, k = len(one), len(samples)
    truth = np.tile(layer, k)
    domain = np.where(rng.random(n * k) < 0.75, (truth + 1) % 4, rng.integers(0, 5, n * k))
    table = ad.AnnData(rng.poisson(1.0, (n * k, 30)).astype(np.float32))
    labels = pd.Series(np.array(LAYERS, dtype=object)[truth])
    labels[rng.random(n * k) < 0.05] = np.nan
    table.obs["sample"] = pd.Categorical(np.repeat(samples, n), categories=samples)
    table.obs["donor"] = pd.Categorical(np.repeat([f"D{i // 2}" for i in range(k)], n))
    table.obs["batch"] = table.obs["sample"]
    table.obs["truth"] = pd.Categorical(labels.to_numpy())
    table.obs["domain"] = pd.Categorical(domain.astype(str))
    smooth = np.where(rng.random(n * k) < 0.8, (truth + 1) % 4, domain)
    table.obs["domain.refined"] = pd.Categorical(smooth.astype(str))
    table.obsm["spatial"] = np.tile(one, (k, 1))
    table.obsm["spatial_um"] = table.obsm["spatial"] * MPP
    centres = rng.normal(0, 2, (5, 8))
    table.obsm["X_fused.concat"] = (
        centres[domain] + rng.normal(0, 1, (n * k, 8)) + np.repeat(np.arange(k), n)[:, None]
    )
    about = {"donor": [f"D{i // 2}" for i in range(k)], "image": image, "image_scale": 0.2, "mpp": MPP,
             "spot_um": 55.0, "pitch_um": 100.0, "lattice": "hex"}  # fmt: skip
    table.uns["triptych"] = {"samples": pd.DataFrame(about, index=samples)}
    return table


def make_scores(samples: list[str]) -> pd.DataFrame:
    """Two metrics of two slots with controls."""
    rng, rows = np.random.default_rng(1), []
    for metric, top in (("ari", 0.42), ("nmi", 0.55)):
        for slot, shift in (("obs:domain", 0.0), ("obs:domain.refined", 0.12)):
            values = top + shift + rng.normal(0, 0.04, len(samples))
            for sample, value in [*zip(samples, values, strict=True), ("(mean)", values.mean())]:
                rows.append(
                    (metric, slot, sample, "D0", "all", 7, value, value - 0.05, value + 0.06, 432, "oracle K")
                )
        for slot, value in (("control:shuffled", 0.0), ("control:oracle", 1.0)):
            rows += [
                (metric, slot, name, "", "all", 7, value, np.nan, np.nan, 432, "")
                for name in [*samples, "(mean)"]
            ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def step(index: int, do: str, use: str, to: str, **given: object) -> StepRecord:
    units = dict.fromkeys(SAMPLES, "made") if given.get("over") == "sample" else {"study": "made"}
    base = {
        "reads": {"x": "obsm:X_rna.pca"},
        "params": {},
        "over": "study",
        "keys": {},
        "state": units,
        "seconds": 1.234,
    }
    return StepRecord(index, do, use, to, **{**base, **given})


def make_record(samples: list[str] | None = None) -> RunRecord:
    """A run of six steps, one of which was skipped for a section."""
    samples = samples or SAMPLES
    half = {name: ("skipped" if i == 1 else "cached") for i, name in enumerate(samples)}
    steps = [
        step(
            1,
            "encode",
            "pca",
            "obsm:X_rna.pca",
            reads={"counts": "layers:counts"},
            params={"components": 30, "genes": 2000},
        ),
        step(
            2,
            "encode",
            "colour",
            "obsm:X_img.colour",
            reads={"slide": "image"},
            params={"window_um": 110.0},
            over="sample",
            state=half,
            notes=["No image of one section."],
        ),
        step(
            3,
            "fuse",
            "concat",
            "obsm:X_fused.concat",
            reads={"rna": "obsm:X_rna.pca", "img": "obsm:X_img.colour"},
            params={"weights": {"rna": 1.0, "img": 0.5}},
            seconds=75.2,
        ),
        step(
            4,
            "cluster",
            "gaussian",
            "obs:domain",
            reads={"x": "obsm:X_fused.concat"},
            params={"k": 5, "covariance": "full"},
        ),
        step(
            5,
            "refine",
            "vote",
            "obs:domain.refined",
            reads={"labels": "obs:domain", "places": "obsm:spatial_um"},
            over="sample",
        ),
        step(
            6, "score", "ari", "", reads={"truth": "obs:truth", "guess": "obs:domain.refined"}, over="sample"
        ),
    ]
    return RunRecord(
        recipe="concat-vote",
        title=f"Genes and colours joined, {HOSTILE}",
        cite="Somebody 2024, 10.1101/2024.06.04.24308256.",
        seed=7,
        data="data/my study; rm -rf",
        options="--samples A",
        data_identity="3f0a" * 16,
        steps=steps,
        scores=make_scores(samples),
        warnings=[
            "Oracle K: the number of domains was taken from the known labels.",
            "Transductive: all sections were seen together, so the scores are not of new tissue.",
            f"65 observations have no label {HOSTILE}.",
        ],
        versions={"triptych": "0.1.0", "numpy": "2.1", "python": "3.11"},
        started="2026-08-01T09:30:12Z",
        seconds=93.4,
        peak_mib=1834.0,
    )


def thin(table: ad.AnnData) -> ad.AnnData:
    """Every seventh place."""
    return table[np.arange(table.n_obs) % 7 == 0].copy()


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[ad.AnnData, RunRecord]:
    """The whole made-up study; only to be read."""
    return make_table(str(tissue_image(tmp_path_factory.mktemp("slide"), hexagons()))), make_record()


@pytest.fixture
def table(tmp_path: Path) -> ad.AnnData:
    """One of its own for each test, with fewer places."""
    return thin(make_table(str(tissue_image(tmp_path, hexagons()))))


@pytest.fixture
def record() -> RunRecord:
    return make_record()


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests look at what a page says; only the shared run is drawn at its full resolution."""
    monkeypatch.setattr("triptych.report.canvas.DPI", 50)


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def many() -> tuple[ad.AnnData, RunRecord]:
    """A study of 26 small sections."""
    names = [f"S{i}" for i in range(26)]
    table = make_table(samples=names)
    return thin(table), make_record(names)
