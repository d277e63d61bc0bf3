"""Painted tissue in the layout of HEST-1k: dark discs are nuclei, with the transcripts of a few real genes.

The outlines lie beside the discs by a shift that each section has of its own, as an instrument's do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

PANEL = {
    "inflammatory": ("CD3D", "CD3E", "CD2", "CD247", "PTPRC", "IL7R"),
    "connective": ("COL1A1", "COL1A2", "DCN", "LUM", "COL3A1", "FBLN1"),
    "epithelial": ("EPCAM", "KRT8", "KRT18", "KRT19", "CDH1", "CLDN4"),
}
OTHERS = ("MKI67", "TOP2A", "G1", "G2", "G3", "G4")
GENES = (*(gene for genes in PANEL.values() for gene in genes), *OTHERS)
TYPES = tuple(PANEL)
PER_NUCLEUS, RADIUS_UM, PITCH_UM = 40, 2.2, 7.0
TISSUE, NUCLEUS = (226, 170, 200), (92, 52, 140)
# What makes a run of the recipe quick; the pictures are far smaller than what registration is made for.
QUICK = (
    "unet-hv.width=4", "unet-hv.depth=2", "unet-hv.steps=3", "unet-hv.crop_px=64", "segment.tile_px=64",
    "stain-correlation.max_shift_um=2", "stain-correlation.region_um=48", "stain-correlation.least_score=2",
)  # fmt: skip


@dataclass(frozen=True)
class Painted:
    """One section.

    Parameters
    ----------
    name, organ, donor
        Whose it is.
    side_px
        Of its square picture.
    mpp
        µm per pixel of the picture.
    shift_um
        From the outlines to where the picture shows the nuclei.
    truth
        Whether the picture of labels is written.
    seed
        Of where nuclei lie, what they are, and of their transcripts.
    """

    name: str
    organ: str
    donor: str
    side_px: int = 192
    mpp: float = 0.25
    shift_um: tuple[float, float] = (0.0, 0.0)
    truth: bool = True
    seed: int = 0

    def nuclei(self):
        """Centres in pixels of the picture, shape (n, 2), radii in pixels, and codes of types."""
        rng = np.random.default_rng([self.seed, *self.name.encode()])
        pitch = PITCH_UM / self.mpp
        at = np.arange(pitch / 2 + 1, self.side_px - pitch / 2, pitch)
        centres = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        centres += rng.uniform(-0.1, 0.1, centres.shape) * pitch
        radii = RADIUS_UM / self.mpp * rng.uniform(0.8, 1.1, len(centres))
        return centres, radii, rng.integers(0, len(TYPES), len(centres))

    def labels(self):
        """The picture of labels, shape (side, side), int32."""
        centres, radii, _ = self.nuclei()
        y, x = np.mgrid[: self.side_px, : self.side_px] + 0.5
        out = np.zeros((self.side_px, self.side_px), np.int32)
        for number, ((cx, cy), r) in enumerate(zip(centres, radii, strict=True), 1):
            out[(x - cx) ** 2 + (y - cy) ** 2 <= r**2] = number
        return out

    def picture(self):
        """RGB, shape (side, side, 3)."""
        rng = np.random.default_rng([self.seed, 1, *self.name.encode()])
        plain = np.where((self.labels() > 0)[..., None], NUCLEUS, TISSUE)
        return np.clip(plain + rng.normal(0, 8, plain.shape), 0, 255).astype(np.uint8)

    def rings(self):
        """Rings as the instrument places them, in pixels of the picture, one for each nucleus."""
        centres, radii, _ = self.nuclei()
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        moved = centres - np.array(self.shift_um) / self.mpp
        return [c + r * circle for c, r in zip(moved, radii, strict=True)]

    def transcripts(self):
        """A table of the molecules, most of them inside the outlines."""
        rng = np.random.default_rng([self.seed, 2, *self.name.encode()])
        centres, radii, kinds = self.nuclei()
        of = np.repeat(np.arange(len(centres)), PER_NUCLEUS)
        angle, r = rng.uniform(0, 2 * np.pi, len(of)), 0.85 * radii[of] * np.sqrt(rng.random(len(of)))
        xy = (
            centres[of]
            - np.array(self.shift_um) / self.mpp
            + r[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        )
        own = np.array([PANEL[TYPES[kind]] for kind in kinds])[of]
        gene = own[np.arange(len(of)), rng.integers(0, own.shape[1], len(of))]
        stray = rng.random(len(of)) < 0.15
        gene = np.where(stray, rng.choice(GENES, len(of)), gene)
        return pd.DataFrame({
            "transcript_id": np.arange(len(of)), "cell_id": (of + 1).astype(str),
            "he_x": xy[:, 0], "he_y": xy[:, 1], "feature_name": gene, "qv": 30.0,
        })  # fmt: skip


SECTIONS = (
    Painted("K1", "Kidney", "D1", shift_um=(0.5, -0.25)),
    Painted("K2", "Kidney", "D2"),
    Painted("B1", "Breast", "D2", side_px=160, shift_um=(-0.5, 0.5)),
    Painted("B2", "Breast", "D3"),
)


def write(root: Path, sections=SECTIONS) -> Path:
    """Write sections into a folder, beside those that are there."""
    for one in sections:
        write_picture(root, one)
        write_rings(root, one.name, one.rings())
        file = place(root, "transcripts", f"{one.name}_transcripts.parquet")
        one.transcripts().to_parquet(file)
        write_words(root, one)
        if one.truth:
            write_truth(root, one)
    return root


def place(root: Path, folder: str, name: str) -> Path:
    """A file of the study, its folder made."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    return root / folder / name


def write_picture(root, one, pixels=None):
    tifffile.imwrite(place(root, "wsis", f"{one.name}.tif"), one.picture() if pixels is None else pixels)


def write_words(root, one, **more):
    words = {
        "id": one.name, "organ": one.organ, "patient": one.donor, "pixel_size_um_estimated": one.mpp,
        "panel": list(GENES), **more,
    }  # fmt: skip
    place(root, "metadata", f"{one.name}.json").write_text(json.dumps(words))


def write_rings(root, name, rings, ids=None):
    """Outlines as polygons in well-known binary."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    ids = [str(i + 1) for i in range(len(rings))] if ids is None else ids
    shapes = pa.array([shapely.to_wkb(shapely.Polygon(ring)) for ring in rings], pa.binary())
    table = pa.table({"cell_id": pa.array(ids), "geometry": shapes})
    pq.write_table(table, place(root, "xenium_seg", f"{name}_xenium_nucleus_seg.parquet"))


def write_truth(root, one, labels=None, kinds=None):
    """The picture of labels, and the type of each nucleus."""
    labels = one.labels() if labels is None else labels
    kinds = [TYPES[kind] for kind in one.nuclei()[2]] if kinds is None else kinds
    tifffile.imwrite(place(root, "truth/instances", f"{one.name}.tif"), labels.astype(np.uint32))
    frame = pd.DataFrame({"instance": np.arange(1, len(kinds) + 1), "type": kinds})
    frame.to_csv(place(root, "truth/instances", f"{one.name}.types.csv"), index=False)


def other(one: Painted, **change) -> Painted:
    """The same section with something changed, e.g. another seed: other nuclei altogether."""
    return replace(one, **change)


def changes(*more: str) -> list[str]:
    """``--set`` and each change that makes a run quick, and others."""
    return [word for change in (*QUICK, *more) for word in ("--set", change)]
