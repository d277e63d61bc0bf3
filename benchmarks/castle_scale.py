"""castle on a section of its paper's size: seconds and peak memory of every stage, on this machine.

    OMP_NUM_THREADS=2 python benchmarks/castle_scale.py WORK [--cells 161000] [--recipe castle-stain]

A Xenium bundle is simulated once in WORK/bundle: cells x 313 genes of 19 types in niches (the largest a
fifth, the smallest 0.2 % of the cells) and an H&E-like picture of 20 000 x 15 000 px, a tiled,
JPEG-compressed OME-TIFF of two levels. Then `triptych run` goes from the bundle to the report in a process
of its own with an empty cache; its record gives seconds and peak resident memory by step.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

WIDTH_PX, HEIGHT_PX, MPP, PIXEL_UM = 20_000, 15_000, 0.3, 0.2125
GENES, TYPES, NICHES, TILE_PX = 313, 19, 40, 512
ALIGNMENT = np.array(
    [[MPP / PIXEL_UM, 0.0, 120.0], [0.0, MPP / PIXEL_UM, 80.0], [0.0, 0.0, 1.0]]
)  # H&E px -> DAPI px


def cells(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places in H&E px (n, 2) and types (n,): each niche has its own mixture of types."""
    margin = 8.0
    px = rng.uniform(margin, (WIDTH_PX - margin, HEIGHT_PX - margin), (n, 2))
    centres = rng.uniform(0, (WIDTH_PX, HEIGHT_PX), (NICHES, 2))
    share = 0.5 ** np.linspace(0, 5.6, TYPES)
    mixtures = np.stack([rng.dirichlet(6 * share / share.sum()) for _ in range(NICHES)])
    niche = np.empty(n, np.int64)
    for start in range(0, n, 20_000):
        part = px[start : start + 20_000]
        niche[start : start + 20_000] = ((part[:, None] - centres) ** 2).sum(2).argmin(1)
    types = (rng.random(n)[:, None] > mixtures[niche].cumsum(1)).sum(1).clip(max=TYPES - 1)
    return px, types


def counts(types: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    """Negative binomial counts of about 190 transcripts a cell; related types share most of their profile."""
    base = rng.gamma(0.5, 1.0, GENES)
    parents = base * rng.lognormal(0, 0.7, (5, GENES))
    profiles = parents[np.arange(TYPES) % 5] * rng.lognormal(0, 0.6, (TYPES, GENES))
    profiles /= profiles.sum(1, keepdims=True)
    blocks = []
    for start in range(0, len(types), 20_000):
        part = types[start : start + 20_000]
        depth = rng.lognormal(np.log(160), 0.6, len(part))
        rate = profiles[part] * depth[:, None] * rng.gamma(2.0, 0.5, (len(part), GENES))
        blocks.append(sp.csr_matrix(rng.poisson(rate).astype(np.int32)))
    return sp.vstack(blocks, format="csr")


def bands(px: np.ndarray, types: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The picture, TILE_PX rows at a time, each (h, WIDTH_PX, 3)."""
    radius = rng.uniform(7, 15, TYPES)[types] * rng.uniform(0.85, 1.15, len(types))
    dark = rng.uniform(0.35, 0.75, TYPES)[types]
    reach = 18
    offset = np.stack(np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1)), -1).reshape(
        -1, 2
    )
    pink, blue = np.array([232.0, 190.0, 214.0]), np.array([96.0, 66.0, 140.0])
    order = np.argsort(px[:, 1], kind="stable")
    rows = px[order, 1]
    for top in range(0, HEIGHT_PX, TILE_PX):
        height = min(TILE_PX, HEIGHT_PX - top)
        cover = np.zeros((height, WIDTH_PX), np.float32)
        near = order[np.searchsorted(rows, top - reach) : np.searchsorted(rows, top + height + reach)]
        for some in np.array_split(near, max(1, len(near) // 1000)):
            x, y = (np.rint(px[some, i])[:, None].astype(int) + offset[:, i] for i in (0, 1))
            inside = (x >= 0) & (x < WIDTH_PX) & (y >= top) & (y < top + height)
            depth = np.clip(radius[some, None] - np.hypot(*offset.T), 0, 2) / 2 * dark[some, None]
            np.maximum.at(cover, (y[inside] - top, x[inside]), depth[inside].astype(np.float32))
        noise = rng.integers(-9, 10, (height, WIDTH_PX, 1), np.int16)
        picture = pink + cover[..., None] * (blue - pink) + noise
        yield np.clip(picture, 0, 255).astype(np.uint8)


def picture(path: Path, px: np.ndarray, types: np.ndarray, rng: np.random.Generator) -> None:
    """Write the OME-TIFF: the whole picture, and a quarter of it along each side as its second level."""
    import tifffile

    small = np.empty((-(-HEIGHT_PX // 4), WIDTH_PX // 4, 3), np.uint8)

    def tiles() -> Iterator[np.ndarray]:
        for index, band in enumerate(bands(px, types, rng)):
            top = index * TILE_PX
            reduced = band[::4, ::4]
            small[top // 4 : top // 4 + len(reduced)] = reduced
            for left in range(0, WIDTH_PX, TILE_PX):
                tile = band[:, left : left + TILE_PX]
                full = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
                full[: tile.shape[0], : tile.shape[1]] = tile
                yield full

    how = {"tile": (TILE_PX, TILE_PX), "photometric": "rgb", "compression": "jpeg"}
    about = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": MPP}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        tiff.write(tiles(), shape=(HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8, subifds=1, metadata=about, **how)
        tiff.write(small, subfiletype=1, **how)


def bundle(folder: Path, n: int, seed: int) -> None:
    """Write the bundle: matrix, cells, outlines, labels, a few transcripts, and the aligned picture."""
    from triptych.readers.toy.bundle import Bundle, Molecules
    from triptych.readers.toy.write_xenium import write_xenium

    rng = np.random.default_rng(seed)
    px, types = cells(n, rng)
    um = (np.column_stack([px, np.ones(n)]) @ ALIGNMENT.T)[:, :2] * PIXEL_UM
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    few = np.arange(min(n, 1000))
    molecules = Molecules(
        few, few % GENES, np.column_stack([um[few], np.zeros(len(few))]), np.full(len(few), 30.0), few >= 0
    )
    write_xenium(
        folder,
        Bundle(
            name="section", um=um, counts=counts(types, rng),
            genes=np.array([f"GENE{i:03d}" for i in range(GENES)]),
            controls=np.array([], str), kind=np.array([f"type {t:02d}" for t in range(TYPES)])[types],
            cells=um[:, None] + 5.0 * circle, nuclei=um[:, None] + 3.0 * circle,
            molecules=lambda: [molecules],
        ),
        text=False,
    )  # fmt: skip
    picture(folder / "section_he_image.ome.tif", px, types, rng)
    np.savetxt(folder / "section_he_imagealignment.csv", ALIGNMENT, delimiter=",")


def run(work: Path, recipe: str, changes: list[str]) -> dict:
    """One run in a process of its own with an empty cache: seconds, peak memory, and its record."""
    out, cache = work / "out", work / "cache"
    for folder in (out, cache):
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "triptych", "run", recipe, str(work / "bundle"), "-o", str(out)]
    start = time.perf_counter()
    subprocess.run(
        [*command, *(word for change in changes for word in ("--set", change))],
        check=True, env={**os.environ, "TRIPTYCH_CACHE_DIR": str(cache)},
    )  # fmt: skip
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    record = json.loads((out / "provenance.json").read_text())
    return {
        "seconds": seconds,
        "peak_mib": peak,
        "steps": record["steps"],
        "scores": pd.read_csv(out / "scores.csv"),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("work", type=Path)
    words.add_argument("--cells", type=int, default=161_000)
    words.add_argument("--recipe", default="castle-stain")
    words.add_argument("--set", action="append", default=[], dest="changes")
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args()
    if not (given.work / "bundle" / "experiment.xenium").exists():
        start = time.perf_counter()
        bundle(given.work / "bundle", given.cells, given.seed)
        print(f"wrote the bundle in {time.perf_counter() - start:.0f} s")
    found = run(given.work, given.recipe, given.changes)
    print("| step | component | seconds | peak MiB |\n|---|---|---|---|")
    for step in found["steps"]:
        made = f"{step['do']} → {step['to']}"
        print(f"| {made} | {step['use']} | {step['seconds']:.1f} | {step['peak_mib']:.0f} |")
    made = sum(step["seconds"] for step in found["steps"])
    print(f"| reading, report, files | | {found['seconds'] - made:.1f} | |")
    print(f"| **whole** | | **{found['seconds']:.0f}** | **{found['peak_mib']:.0f}** |")
    scores = found["scores"]
    print(
        scores[~scores["slot"].str.startswith("control")][["metric", "slot", "sample", "value"]].to_string(
            index=False
        )
    )


if __name__ == "__main__":
    main()
