"""A whole slide by itself: grid, tissue, embedding of every patch of tissue; patches per second, peak memory.

    python benchmarks/slide_pass.py --side 60000 --mpp 0.25 --pitch-um 100 --encoder-mpp 1.0 0.5

The slide is a tiled pyramidal TIFF of JPEG tiles, written tile by tile from a few distinct ones; two round
pieces of tissue cover about two fifths of it. The pass runs in a process of its own, whose peak memory is
told. With --encoder-mpp 0.5 windows are read from the finest level, with 1.0 from one four times
coarser.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import tifffile
from imagecodecs import jpeg8_encode

TILE = 512
STEPS = (1, 4, 16, 64)
DISTINCT = 6
QUALITY = 85


def textures(rng: np.random.Generator) -> np.ndarray:
    """Tiles: the first is ground, the others tissue with dark nuclei; shape (DISTINCT + 1, 512, 512, 3)."""
    y, x = np.mgrid[:TILE, :TILE]
    tiles = [np.full((TILE, TILE, 3), 243.0)]
    for _ in range(DISTINCT):
        depth = np.zeros((TILE, TILE))
        for row, column in rng.uniform(0, TILE, (180, 2)):
            near = np.hypot(y - row, x - column)
            depth = np.maximum(depth, np.clip((13 - near) / 3, 0, 1))
        eosin = 1 + 0.2 * np.sin(x / rng.uniform(9, 30) + y / rng.uniform(9, 30))
        colour = np.array([225, 165, 200]) - 25 * eosin[..., None] * np.array([0.3, 1.0, 0.5])
        tile = colour * (1 - depth[..., None]) + np.array([95, 70, 140]) * depth[..., None]
        tiles.append(tile + rng.normal(0, 4, tile.shape))
    return np.clip(np.rint(np.array(tiles)), 0, 255).astype(np.uint8)


def layout(number: int, rng: np.random.Generator) -> np.ndarray:
    """Which texture each tile of the finest level has, shape (number, number)."""
    y, x = np.mgrid[:number, :number] / number
    tissue = (np.hypot(y - 0.35, x - 0.32) < 0.27) | (np.hypot(y - 0.67, x - 0.68) < 0.24)
    return np.where(tissue, rng.integers(1, DISTINCT + 1, (number, number)), 0)


def shrunk(tiles: np.ndarray, step: int) -> np.ndarray:
    side = TILE // step
    return np.rint(tiles.reshape(-1, side, step, side, step, 3).mean(axis=(2, 4))).astype(np.uint8)


def encoded(tile: np.ndarray) -> bytes:
    return jpeg8_encode(tile, level=QUALITY, colorspace="RGB", outcolorspace="YCBCR")


def level_tiles(which: np.ndarray, tiles: np.ndarray, step: int, side: int):
    """Encoded tiles of one level, row by row; every one of the finest level is encoded once."""
    small, across = shrunk(tiles, step), -(-side // TILE)
    if step == 1:
        ready = [encoded(tile) for tile in tiles]
        yield from (ready[kind] for kind in which.ravel())
        return
    for row in range(across):
        for column in range(across):
            part = which[row * step : (row + 1) * step, column * step : (column + 1) * step]
            pixels = np.full((TILE, TILE, 3), 243, np.uint8)
            whole = small[part].transpose(0, 2, 1, 3, 4).reshape(part.shape[0] * small.shape[1], -1, 3)
            pixels[: whole.shape[0], : whole.shape[1]] = whole
            yield encoded(pixels)


def write(path: Path, side: int, mpp: float) -> None:
    rng = np.random.default_rng(0)
    tiles, which = textures(rng), layout(-(-side // TILE), rng)
    steps = [step for step in STEPS if side // step >= TILE]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for step in steps:
            own = side // step
            writer.write(
                level_tiles(which, tiles, step, own), shape=(own, own, 3), dtype=np.uint8,
                tile=(TILE, TILE), photometric="ycbcr", compression="jpeg", metadata=None,
                subsampling=(2, 2), subfiletype=int(step > 1), resolutionunit="CENTIMETER",
                resolution=(1e4 / mpp / step,) * 2, subifds=len(steps) - 1 if step == 1 else None,
            )  # fmt: skip


def one_pass(path: Path, pitch_um: float, encoder_mpp: float) -> dict[str, float]:
    """Read, lay the grid, embed; in seconds and MiB."""
    from triptych.encoders.images.stain_texture import StainTexture
    from triptych.pipeline.study import STUDY, Study
    from triptych.pipeline.windowing import windows_view
    from triptych.readers.layouts import ReadOptions
    from triptych.readers.read import read

    warnings.simplefilter("ignore")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    table = read(path, ReadOptions(pitch_um=pitch_um))
    laid = time.perf_counter()
    encoder = StainTexture(window_um=pitch_um, mpp=encoder_mpp)
    view = windows_view(encoder, Study(table).pixels(STUDY), None, np.random.default_rng(0))
    end = time.perf_counter()
    rows = np.isfinite(view).all(axis=1).sum()
    return {
        "patches": int(rows), "grid_s": laid - start, "embedding_s": end - laid,
        "patches_per_s": rows / (end - start), "imported_mib": before,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=60_000)
    parser.add_argument("--mpp", type=float, default=0.25)
    parser.add_argument("--pitch-um", type=float, default=100.0)
    parser.add_argument("--encoder-mpp", type=float, nargs="+", default=[1.0])
    parser.add_argument("--keep", type=Path, help="write the slide here and leave it")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(one_pass(given.child, given.pitch_um, given.encoder_mpp[0])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "slide.tif"
        if not path.exists():
            start = time.perf_counter()
            write(path, given.side, given.mpp)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"written {given.side} × {given.side} px, {path.stat().st_size / 2**20:.0f} MiB, "
                f"in {time.perf_counter() - start:.0f} s, peak {peak:.0f} MiB"
            )
        for mpp in given.encoder_mpp:
            command = [
                sys.executable,
                __file__,
                "--child",
                path,
                "--pitch-um",
                given.pitch_um,
                "--encoder-mpp",
                mpp,
            ]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            print(f"encoder at {mpp:g} µm/px: " + ", ".join(f"{k} {v:.4g}" for k, v in found.items()))


if __name__ == "__main__":
    main()
