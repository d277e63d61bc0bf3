"""Nuclei of a mosaic in windows of several sides: the same nuclei, none twice, none cut; speed and memory.

    python benchmarks/stitching.py --data DATA [--model FOLDER] [--side 4000] [--windows 256 512 1024]

DATA holds monuseg/images and monuseg/instances; four images of breast and kidney, mirrored without end,
are the mosaic. The model is watershed-stain, fitted on the four, or a saved unet-hv. Post-processing is
timed from stored maps, those of the known nuclei with noise, in one thread and in several. Memory is that of
a process of its own for each side of the mosaic, of which no more than the windows is ever held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage as ndi

from triptych.core.nuclei import Found, Tiles
from triptych.maths.hv import hv_targets, instances_of
from triptych.maths.stitching import painted
from triptych.maths.window_grid import Windows
from triptych.segmenters.watershed_stain import WatershedStain
from triptych.tiles.segmented import segmented, windows_for

STRAIGHT = 8  # px that an outline must follow a border of windows to be looked at
MOVED = (3, 7, 11, 13)  # px
MEMORY_SIDES = (2000, 4000, 8000)


class Mosaic:
    """A block of pixels, mirrored over and over; nothing else is held."""

    def __init__(self, block: np.ndarray, side: int) -> None:
        self.block, self.shape_px = block, (side, side)

    def read(self, x0: int, y0: int, width: int, height: int) -> np.ndarray:
        rows, columns = (
            self._mirrored(first, number, axis) for first, number, axis in ((y0, height, 0), (x0, width, 1))
        )
        return self.block[rows[:, None], columns]

    def _mirrored(self, first: int, number: int, axis: int) -> np.ndarray:
        own = self.block.shape[axis]
        at = np.arange(first, first + number) % (2 * own)
        return np.minimum(at, 2 * own - 1 - at)


class Block:
    """Tiles of a block, to fit on."""

    classes, mpp, tile_px = (), 0.25, 250

    def __init__(self, block: np.ndarray) -> None:
        self.block, self.across = block, block.shape[1] // self.tile_px

    def __len__(self) -> int:
        return self.across * (self.block.shape[0] // self.tile_px)

    def take(self, rows: np.ndarray) -> Tiles:
        corners = [(row // self.across * self.tile_px, row % self.across * self.tile_px) for row in rows]
        image = np.stack([self.block[y : y + self.tile_px, x : x + self.tile_px] for y, x in corners])
        none = np.zeros(image.shape[:3], np.int32)
        return Tiles(image, none, none.astype(np.uint8), none > 0)


class StoredMaps:
    """A model whose maps are the picture."""

    classes, mpp, halo_px, multiple_px = (), 0.25, 64, 1

    def segment(self, window: np.ndarray) -> Found:
        maps = window.transpose(2, 0, 1)
        nuclei = instances_of(np.ascontiguousarray(maps[0]), np.ascontiguousarray(maps[1:]))
        return Found(nuclei, np.zeros((int(nuclei.max()), 0), np.float32))


def block_of(data: Path, kind: str) -> np.ndarray:
    """Two images of kidney above two of breast."""
    rows, count = [], 0
    for organ in ("kidney", "breast"):
        row = []
        for path in sorted((data / "monuseg" / "images").glob(f"{organ}*"))[:2]:
            if kind == "images":
                row.append(np.asarray(Image.open(path)))
                continue
            numbers = np.asarray(Image.open(data / "monuseg" / kind / f"{path.stem}.png")).astype(np.int32)
            row.append(np.where(numbers, numbers + count, 0))  # each nucleus has a number of its own
            count += int(numbers.max())
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def model_of(args: argparse.Namespace):
    if args.model:
        from triptych.segmenters.unet_hv import UnetHv

        return UnetHv().restore(args.model)
    return WatershedStain().fit(Block(block_of(args.data, "images")), np.random.default_rng(0)).model


def pq(truth: np.ndarray, guess: np.ndarray) -> float:
    """Panoptic quality: IoU of the nuclei that share more than half, over the mean number of nuclei."""
    wide = int(guess.max()) + 1
    codes, areas = np.unique(truth.astype(np.int64) * wide + guess, return_counts=True)
    of, by = codes // wide, codes % wide
    both = (of > 0) & (by > 0)
    union = np.bincount(truth.ravel())[of] + np.bincount(guess.ravel())[by] - areas
    iou = (areas / union)[both]
    return float(2 * iou[iou > 0.5].sum() / (truth.max() + guess.max()))


def cut(found: np.ndarray, reference: np.ndarray, windows: Windows, moved: int = 0) -> int:
    """Nuclei that end in a straight line along a border of a window, where the reference's go on.

    Outlines are straight here and there anyway: the same lines ``moved`` by some pixels tell how often.
    """
    number = set()
    for picture, other, axis in ((found, reference, 0), (found.T, reference.T, 1)):
        lines = {
            end
            for window in windows
            for box in (window.core, window.read)
            for end in (box[axis] + moved, box[axis + 2] + moved)
        }
        for line in sorted(one for one in lines if 0 < one < picture.shape[1]):
            for here, beyond in ((line - 1, line), (line, line - 1)):
                ends = (picture[:, here] > 0) & (picture[:, here] != picture[:, beyond])
                runs, _ = ndi.label(ends & (other[:, here] == other[:, beyond]) & (other[:, here] > 0))
                sizes = np.bincount(runs)
                sizes[0] = 0
                long = np.isin(runs, np.flatnonzero(sizes >= STRAIGHT))
                number |= set(picture[long, here].tolist())
    return len(number)


def compare(args: argparse.Namespace) -> None:
    model, mosaic = model_of(args), Mosaic(block_of(args.data, "images"), args.side)
    found, grids = {}, {}
    for side in args.windows:
        # the smallest windows leave no core between whole halos: they are given less
        halo = min(model.halo_px, (side - 64) // 2 // model.multiple_px * model.multiple_px)
        grids[side] = windows_for(mosaic, model, side_px=side, halo_px=halo)
        start = time.perf_counter()
        with ThreadPoolExecutor(args.threads) as pool:
            parts = list(segmented(mosaic, model, grids[side], pool=pool))
        seconds = time.perf_counter() - start
        pixels = sum(np.count_nonzero(part.found.instances) for part in parts)
        found[side] = painted(parts, args.side, args.side).instances
        twice = pixels - np.count_nonzero(found[side])
        print(f"{side:5d} px, halo {halo} px: {found[side].max()} nuclei, {twice} px in two, {seconds:.1f} s")
    for one in args.windows:
        others = [f"{other}: {pq(found[one], found[other]):.4f}" for other in args.windows if other != one]
        largest = found[max(args.windows)]
        line = f"{one:5d} px: PQ against " + ", ".join(others)
        if one != max(args.windows):
            straight, *chance = (cut(found[one], largest, grids[one], moved) for moved in (0, *MOVED))
            line += f"; {straight} nuclei straight along a seam, by chance {chance}"
        print(line)


def post_processing(args: argparse.Namespace) -> None:
    instances = (
        Mosaic(block_of(args.data, "instances"), args.side).read(0, 0, args.side, args.side).astype(np.int32)
    )
    # what is mirrored is another nucleus, but where it lies across the mirror
    own = np.arange(args.side) // 2000
    instances = np.where(instances, instances + 100_000 * (own[:, None] * 8 + own), 0).astype(np.int32)
    rng = np.random.default_rng(0)
    maps = np.empty((args.side, args.side, 3), np.float32)
    maps[..., 0] = ndi.gaussian_filter((instances > 0).astype(np.float32), 1.0)
    for plane, target in enumerate(hv_targets(instances), 1):
        maps[..., plane] = ndi.gaussian_filter(target, 1.0)
    maps += rng.normal(0, 0.05, maps.shape).astype(np.float32)
    picture, true = Mosaic(maps, args.side), len(np.unique(instances)) - 1
    for threads in (1, args.threads):
        start, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            count = sum(len(part.found.probabilities) for part in segmented(picture, StoredMaps(), pool=pool))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"post-processing and stitching, {threads} threads: {count} nuclei of {true} in {seconds:.1f} s, "
            f"{count / seconds:.0f} nuclei/s; {cpu:.1f} s of CPU, {count / cpu:.0f} nuclei/s of CPU"
        )


def memory(args: argparse.Namespace) -> None:
    for side in MEMORY_SIDES:
        command = [sys.executable, __file__, "--data", str(args.data), "--alone", str(side)]
        done = subprocess.run(
            command + (["--model", str(args.model)] if args.model else []), check=True, capture_output=True
        )
        print(f"{side} px: {json.loads(done.stdout)}")


def alone(args: argparse.Namespace) -> None:
    model, mosaic = model_of(args), Mosaic(block_of(args.data, "images"), args.alone)
    before = peak_mib()
    count = sum(len(part.found.probabilities) for part in segmented(mosaic, model))
    print(json.dumps({"nuclei": count, "before_mib": before, "peak_mib": peak_mib()}))


def peak_mib() -> int:
    """Most memory this process held; unlike getrusage, without what the process that started it held."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--side", type=int, default=4000)
    parser.add_argument("--windows", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", type=int, help="measure the memory of one mosaic, in this process")
    args = parser.parse_args()
    if args.alone:
        alone(args)
        return
    post_processing(args)
    compare(args)
    memory(args)


if __name__ == "__main__":
    main()
