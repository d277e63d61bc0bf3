"""Shifts of outlines that are found again, and outlines of other pictures that are refused.

    OMP_NUM_THREADS=1 python benchmarks/registration.py DATA --trials 8

DATA holds monuseg (breast and kidney are used, prostate is left for judging) and consep, whose tiles are put
together 4 × 4. Outlines drawn by hand are shifted by up to 20 px of 0.25 µm along each axis and scaled by
0.99 to 1.01 about the middle; each nucleus is moved by noise of 2 px, a fifth is lost, a tenth of false ones
is added, and all are widened by 0 to 2 px as DAPI's are. An error is the mean over nuclei of the distance
from where they were drawn. Hands and haematoxylin may differ: «without bias» takes off what is found in the
same picture with its outlines untouched.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from triptych.core.nuclei import Outlines, Registration
from triptych.maths.polygons import centroids_px, traced
from triptych.registrars.stain_correlation import StainCorrelation
from triptych.tiles.slide import Slide, array_slide

MPP = 0.25
Picture = tuple[np.ndarray, Outlines]


def monuseg(data: Path, organ: str) -> list[Picture]:
    found = []
    for path in sorted((data / "monuseg/images").glob(f"{organ}_*.jpg")):
        labels = np.asarray(Image.open(data / "monuseg/instances" / f"{path.stem}.png"))
        found.append((np.asarray(Image.open(path).convert("RGB")), outlined(labels)))
    return found


def consep(data: Path) -> list[Picture]:
    """Mosaics of the first 16 tiles of each image."""
    groups: dict[str, list[Path]] = {}
    for path in sorted((data / "consep/images").glob("*.jpg")):
        groups.setdefault(path.stem.split("_")[1], []).append(path)
    found = []
    for paths in groups.values():
        tiles = [np.asarray(Image.open(path).convert("RGB")) for path in paths[:16]]
        labels = [
            np.asarray(Image.open(data / "consep/instances" / f"{path.stem}.png")).astype(np.int64)
            for path in paths[:16]
        ]
        labels = [np.where(one > 0, one + 10**6 * at, 0) for at, one in enumerate(labels)]
        found.append((mosaic(tiles, 4), outlined(mosaic(labels, 4))))
    return found


def mosaic(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.concatenate(tiles[at : at + columns], axis=1) for at in range(0, len(tiles), columns)]
    return np.concatenate(rows)


def outlined(labels: np.ndarray) -> Outlines:
    return traced(np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32))


def slide_of(pictures: list[Picture], columns: int) -> Picture:
    """Pictures of one size side by side."""
    side = pictures[0][0].shape[0]
    parts = [
        Outlines(
            (one.px + np.array([at % columns, at // columns]) * side).astype(np.float32), one.first, one.row
        )
        for at, (_, one) in enumerate(pictures)
    ]
    return mosaic([pixels for pixels, _ in pictures], columns), joined(parts)


def joined(parts: list[Outlines]) -> Outlines:
    sizes = np.concatenate([np.diff(one.first) for one in parts])
    return Outlines(
        np.concatenate([one.px for one in parts]), np.append(0, np.cumsum(sizes)), np.arange(len(sizes))
    )


def moved(outlines: Outlines, by: np.ndarray) -> Outlines:
    px = outlines.px + np.repeat(by, np.diff(outlines.first), axis=0)
    return Outlines(px.astype(np.float32), outlines.first, outlines.row)


def kept(outlines: Outlines, rows: np.ndarray) -> Outlines:
    size = np.diff(outlines.first)[rows]
    at = np.concatenate([np.arange(outlines.first[row], outlines.first[row + 1]) for row in rows])
    return Outlines(outlines.px[at], np.append(0, np.cumsum(size)), np.arange(len(rows)))


@dataclass(frozen=True)
class Trial:
    """Outlines that lie wrong, where their centres lie, and by how much each must be moved."""

    outlines: Outlines
    centres: np.ndarray
    wanted: np.ndarray


def perturbed(outlines: Outlines, shape: tuple[int, ...], rng: np.random.Generator) -> Trial:
    """As the head of this file says."""
    true = centroids_px(outlines)
    middle = np.array([shape[1], shape[0]]) / 2
    by = rng.uniform(-20, 20, 2) + (rng.uniform(0.99, 1.01) - 1) * (true - middle)
    stay = np.sort(rng.permutation(len(true))[: max(1, round(0.8 * len(true)))])
    wider = widened(kept(outlines, stay), rng.uniform(0, 2))
    real = moved(wider, by[stay] + rng.normal(0, 2, (len(stay), 2)))
    false = kept(outlines, rng.integers(0, len(true), max(1, len(true) // 10)))
    anywhere = rng.uniform(0, 1, (len(false.row), 2)) * [shape[1], shape[0]]
    return Trial(joined([real, moved(false, anywhere - centroids_px(false))]), true + by, -by)


def widened(outlines: Outlines, px: float) -> Outlines:
    """Every vertex farther from the centroid."""
    arms = outlines.px - np.repeat(centroids_px(outlines), np.diff(outlines.first), axis=0)
    out = outlines.px + px * arms / np.linalg.norm(arms, axis=1, keepdims=True).clip(1e-9)
    return Outlines(out.astype(np.float32), outlines.first, outlines.row)


def registered(pixels: np.ndarray, trial: Trial) -> Registration:
    return StainCorrelation().register(trial.outlines, trial.centres, array_slide(pixels), MPP)


def clean(outlines: Outlines) -> Trial:
    centres = centroids_px(outlines)
    return Trial(outlines, centres, np.zeros_like(centres))


def told(name: str, pictures: list[Picture], trials: int) -> None:
    """Errors, refusals and bias."""
    rng, errors, left, refused, bias, scores, three = np.random.default_rng(0), [], [], 0, [], [], []
    for pixels, outlines in pictures:
        still = registered(pixels, clean(outlines))
        if not still.refused:
            bias.append(still.shift_px.mean(axis=0))
        for _ in range(trials):
            trial = perturbed(outlines, pixels.shape, rng)
            found = registered(pixels, trial)
            refused += bool(found.refused)
            scores.append(np.nan_to_num(found.score))
            if not found.refused:
                off = found.shift_px - trial.wanted
                errors.append(np.linalg.norm(off, axis=1).mean())
                own = still.shift_px.mean(axis=0) if not still.refused else 0.0
                left.append(np.linalg.norm(off - own, axis=1).mean())
                if found.regions["used"].sum() >= 3:  # fewer tell no scale
                    three.append(left[-1])
    total = len(pictures) * trials
    print(f"{name}: {len(pictures)} pictures, {total} trials, {refused} refused")
    print(f"  bias at no shift {np.mean(bias, axis=0).round(2)} px, sd {np.std(bias, axis=0).round(2)}")
    for words, values in (("error", errors), ("without bias", left), ("and of 3 regions or more", three)):
        median, high = np.percentile(values, [50, 95])
        within = np.mean(np.array(values) <= 1)
        print(
            f"  {words} ({len(values)}): median {median:.2f} px, 95 % {high:.2f} px, within 1 px {within:.1%}"
        )
    print(f"  score: 2 % {np.percentile(scores, 2):.1f}, 5 % {np.percentile(scores, 5):.1f}, "
          f"median {np.median(scores):.1f}")  # fmt: skip


def wrong(name: str, pictures: list[Picture], others: int) -> None:
    """Outlines of other pictures: how many pass."""
    rng, scores, passed = np.random.default_rng(1), [], 0
    for at, (pixels, _) in enumerate(pictures):
        rows = [row for row in range(len(pictures)) if row != at]
        for row in rng.permutation(rows)[:others]:
            found = registered(pixels, perturbed(pictures[row][1], pixels.shape, rng))
            passed += not found.refused
            scores.append(np.nan_to_num(found.score))
    print(f"{name}: {len(scores)} with outlines of another picture, {passed} passed")
    high, most = np.percentile(scores, 95), max(scores)
    print(f"  score: median {np.median(scores):.1f}, 95 % {high:.1f}, most {most:.1f}")


def large(pictures: list[Picture], nuclei: int) -> None:
    """Seconds and memory of a slide of many nuclei that repeats some pictures."""
    pixels, outlines = slide_of(pictures[:6], 3)
    height, width = pixels.shape[:2]
    across = int(np.ceil(np.sqrt(nuclei / len(outlines.row))))
    steps = np.array([[x, y] for y in range(across) for x in range(across)]) * [width, height]
    whole = joined([
        Outlines((outlines.px + step).astype(np.float32), outlines.first, outlines.row) for step in steps
    ])  # fmt: skip

    def region(x0: int, y0: int, wide: int, tall: int) -> np.ndarray:
        rows, columns = np.arange(y0, y0 + tall) % height, np.arange(x0, x0 + wide) % width
        return pixels[rows[:, None], columns]

    slide = Slide((height * across, width * across), region)
    centres = centroids_px(whole)
    start, before = time.perf_counter(), peak_gb()
    found = StainCorrelation().register(moved(whole, np.full(centres.shape, 9.0)), centres + 9, slide, MPP)
    seconds, shift = time.perf_counter() - start, found.shift_px.mean(axis=0).round(2)
    print(f"{len(centres)} nuclei on {slide.shape_px} px: {seconds:.1f} s")
    print(f"  peak {before:.2f} → {peak_gb():.2f} GB; shift {shift} px of -9, score {found.score:.1f}")


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--nuclei", type=int, default=100_000)
    given = parser.parse_args()
    sets = {organ: monuseg(given.data, organ) for organ in ("breast", "kidney")}
    sets["consep"] = consep(given.data)
    for name, pictures in sets.items():
        told(name, pictures, given.trials)
        wrong(name, pictures, given.trials)
    rng = np.random.default_rng(2)
    both = sets["breast"] + sets["kidney"]
    slides = [slide_of([both[at] for at in rng.permutation(12)[:9]], 3) for _ in range(8)]
    slides += [slide_of([sets["consep"][at] for at in rng.permutation(27)[:9]], 3) for _ in range(8)]
    told("slides of 9 pictures", slides, given.trials // 2)
    wrong("slides of 9 pictures", slides[8:], given.trials)
    large(sets["kidney"], given.nuclei)


if __name__ == "__main__":
    main()
