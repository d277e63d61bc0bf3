"""A made-up study of three sections with names that try to break out of the page, and a run of many views."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from triptych.pipeline.record import SCORE_COLUMNS, RunRecord, StepRecord
from triptych.report.canvas import Canvas
from triptych.report.markup import tag

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


VIEWS = {"counts": "X_rna.log-normalised", "ls2_stain": "X_img.ls2_stain", "ls4_dual": "X_img.ls4_dual"}
LABELS = (
    "leiden.counts", "leiden.ls2_stain", "leiden.ls4_dual", "leiden.subset-random",
    "multiplex.counts.ls2_stain", "multiplex.counts.ls4_dual",
)  # fmt: skip


def forest_rows(types, level=0.5, seed=0):
    """Two kinds of folds, each type and the mean."""
    rng, rows = np.random.default_rng(seed), []
    for folds, lent in (("random", 0.1), ("blocks", 0.0)):
        recall = np.clip(level + lent + rng.normal(0, 0.2, len(types)), 0, 1)
        for name, n, value in zip([*types, "(mean)"], _sizes(types), [*recall, recall.mean()], strict=True):
            rows.append((folds, name, n, value, 0.02, 1 / len(types)))
    return pd.DataFrame(rows, columns=["folds", "group", "n", "recall", "deviation", "shuffled"])


def _sizes(types):
    each = [1000 // (rank + 1) for rank in range(len(types))]
    return [*each, sum(each)]


def pair_rows(types, kind, hard=0.2, seed=0):
    """Every pair of types, some of which are not told apart."""
    rng, sizes, rows = np.random.default_rng(seed), dict(zip(types, _sizes(types), strict=False)), []
    for first, second in combinations(types, 2):
        p = 0.001 if rng.random() > hard else rng.uniform(0.002, 0.6)
        base = {
            "group": first,
            "other": second,
            "n": sizes[first],
            "n_other": sizes[second],
            "pvalue": p,
            "padj": p,
        }
        own = (
            {"pseudo_f": 3.0, "distance": 1.0}
            if kind == "permanova"
            else {"f_statistic": 2.0, "dispersion": 1.0, "dispersion_other": 2.0, "wider": second}
        )
        rows.append({**base, "r2": rng.uniform(0, 0.2), **own})
    return pd.DataFrame(rows)


def ridge_rows(count=241, top=0.5, seed=0):
    """Genes in no order."""
    rng = np.random.default_rng(seed)
    r2 = rng.permutation(top * np.exp(-np.arange(count) / 12) - 0.01)
    return pd.DataFrame({
        "gene": [f"Gene{i}" for i in range(count)], "r2": r2, "deviation": 0.02, "r2_blocks": r2 - 0.05,
        "latent": rng.integers(0, 50, count), "pvalue": 0.01, "padj": np.where(r2 > 0.02, 1e-9, 0.4),
    })  # fmt: skip


def jaccard_rows(types, level=0.4, seed=0):
    found = np.clip(level + np.random.default_rng(seed).normal(0, 0.2, len(types)), 0, 1)
    found[-1] = 0.0
    clusters = [*map(str, range(len(types) - 1)), "–"]
    return pd.DataFrame({"group": types, "n": _sizes(types)[:-1], "jaccard": found, "cluster": clusters})


def tables_of(types):
    """Named as a recipe names them."""
    found = {}
    for index, view in enumerate(VIEWS):
        found[f"permanova.{view}"] = pair_rows(types, "permanova", 0.1 + 0.2 * index, index)
        found[f"permdisp.{view}"] = pair_rows(types, "permdisp", 0.3, index + 9)
        found[f"forest.{view}"] = forest_rows(types, 0.8 - 0.3 * index, index)
        if view != "counts":
            found[f"ridge.{view}"] = ridge_rows(seed=index)
    for index, labels in enumerate(LABELS):
        found[f"jaccard.{labels}"] = jaccard_rows(types, 0.3 + 0.05 * index, index)
    return found


def scores_of(sample="(all)"):
    """Six scores of each labelling; those of several views have a silhouette in each."""
    rows = []

    def add(metric, slot, value, words="transductive", low=np.nan, high=np.nan):
        rows.append((metric, slot, sample, "", "", 0, value, low, high, 900, words))

    for index, labels in enumerate(LABELS):
        slot = f"obs:{labels}"
        for view, key in VIEWS.items():
            if view in labels.split("."):
                add("silhouette", slot, 0.1 * index - 0.08, f"transductive, in obsm:{key}")
        for place, metric in enumerate(("homogeneity", "completeness", "ami", "ari", "jaccard")):
            value = 0.3 + 0.05 * index + 0.02 * place
            add(metric, slot, value, low=value - 0.03, high=value + 0.04)
            add(metric, "control:shuffled", 0.01)
        add("clusters", slot, 10 + index)
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def steps_of():
    """The steps that wrote the labels, with what they chose."""
    steps = []
    for index, labels in enumerate(LABELS, start=1):
        kind, *views = labels.split(".")
        reads = {f"views.{view}": f"obsm:{VIEWS.get(view, 'X_rna.subset')}" for view in views}
        if kind == "leiden":
            reads = {"x": next(iter(reads.values()))}
        step = StepRecord(index, "cluster", kind, f"obs:{labels}", reads, {}, "study", {"study": "k"})
        told = (
            {"neighbours": 15, "resolution": 0.8, "silhouette": 0.2}
            if kind == "leiden"
            else {"weight.rna": 0.4}
        )
        step.chosen = {"study": told}
        steps.append(step)
    return steps


def pictures_of(side=60):
    """Cells as rings, and a blurred copy of each."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    rings = [255 * np.exp(-((np.hypot(x, y) - 0.1 - 0.04 * i) ** 2) / 0.004) for i in range(6)]
    pairs = np.stack([np.stack([ring, 0.7 * ring + 20]) for ring in rings]).astype(np.uint8)
    return {"obsm:X_img.stain-vae": {"DAPI": pairs, "transcripts": pairs[:4]}}


def losses_of():
    fall = np.exp(-np.arange(30) / 8)
    return {"obsm:X_img.stain-vae": {"dice": 0.6 * fall + 0.2, "focal": 0.1 * fall + 0.01}}


@pytest.fixture
def views() -> SimpleNamespace:
    """Makers of tables, scores and pictures of a run of many views."""
    return SimpleNamespace(
        forest=forest_rows, pairs=pair_rows, ridge=ridge_rows, jaccard=jaccard_rows, tables=tables_of,
        scores=scores_of, steps=steps_of, pictures=pictures_of, losses=losses_of, labels=LABELS,
    )  # fmt: skip


@pytest.fixture
def evaluated(record: RunRecord) -> RunRecord:
    """The record of a run of three views, six labellings and a net."""
    told = replace(
        record, tables=tables_of(LAYERS), scores=scores_of(), steps=[*record.steps[:3], *steps_of()]
    )
    told.pictures, told.losses = pictures_of(), losses_of()
    return told


class Sketch(Canvas):
    """A canvas that calls what draws, on axes that are never rendered: quick, where a test reads words."""

    def chart(self, name, draw, size, alt):
        figure = Figure(figsize=size)
        draw(figure.add_subplot(), "#000000")
        self.written.append(f"{name}.png")
        return tag("img", alt=alt)


@pytest.fixture
def sketch(tmp_path: Path) -> Canvas:
    return Sketch(tmp_path)
