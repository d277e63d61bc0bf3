"""Colocalisation of all pairs of types: seconds, memory, and a naive loop over pairs beside it.

    OMP_NUM_THREADS=1 python benchmarks/colocalisation.py
    OMP_NUM_THREADS=1 python benchmarks/colocalisation.py --large
    OMP_NUM_THREADS=1 python benchmarks/colocalisation.py --calibration

First 80 types in 2 000 spots beside a loop, which has the weights as a dense matrix and multiplies by it once
for each pair; then 100 types in 200 000 spots; then p-values of unrelated smooth maps. Peak memory is that of
the process, all that it imported included.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from triptych.core.protocols import Places
from triptych.maths.autocorrelation import bivariate, pitch_um, weights
from triptych.maths.correlations import unit_columns
from triptych.maths.toroidal import null, shifts


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def smooth(side: int, sigma: float, types: int, rng: np.random.Generator) -> np.ndarray:
    """Independent Gaussian maps that do not close to a torus, shape (side, side, types)."""
    edge = int(4 * sigma) + 1
    wide = side + 2 * edge
    maps = (gaussian_filter(rng.normal(size=(wide, wide)), sigma) for _ in range(types))
    return np.stack([one[edge:-edge, edge:-edge] for one in maps], axis=-1)


def array(side: int, n: int) -> Places:
    row, column = np.divmod(np.arange(n), side)
    grid = np.c_[column, row]
    return Places(grid * 200.0, np.zeros(n, int), grid, "square")


def naive(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    z = (x - x.mean(axis=0)) / (x.std(axis=0) * np.sqrt(len(x)))
    r = np.empty((z.shape[1], z.shape[1]))
    for one in range(len(r)):
        for other in range(one, len(r)):
            r[one, other] = r[other, one] = z[:, one] @ w @ z[:, other]
    return r


def timed(places: Places, x: np.ndarray, permutations: int) -> np.ndarray:
    length = pitch_um(places)
    start = time.perf_counter()
    w = weights(places, length)
    r = bivariate(x, w)
    found = time.perf_counter()
    drawn = shifts(places, permutations, np.random.default_rng(0), within_um=2 * length)
    against = null(places, x, w, drawn)
    end = time.perf_counter()
    print(f"{x.shape[1]} types, {len(x)} observations, {w.nnz / len(x):.1f} neighbours: R in "
          f"{found - start:.3f} s, null of {against.shifts} shifts in {end - found:.2f} s, "
          f"peak {peak_gb():.2f} GB", flush=True)  # fmt: skip
    return r


def beside_the_loop(rng: np.random.Generator) -> None:
    places = array(45, 2000)
    x = smooth(45, 1.5, 80, rng).reshape(-1, 80)[:2000]
    timed(places, x, 9)  # imports
    timed(places, x, 199)
    start = time.perf_counter()
    r = bivariate(x, weights(places, 200.0))
    ours = time.perf_counter() - start
    start = time.perf_counter()
    loop = naive(x, weights(places, 200.0).toarray())
    theirs = time.perf_counter() - start
    print(f"loop over {80 * 81 // 2} pairs {theirs:.2f} s, ours {ours:.4f} s: {theirs / ours:.0f} times; "
          f"largest difference {np.abs(r - loop).max():.1e}")  # fmt: skip


def calibration(rng: np.random.Generator, sigma: float, *, side: int = 40, maps: int = 20) -> None:
    """Disjoint pairs of unrelated maps, so that their p-values are independent."""
    places, n, shifted, shuffled = array(side, side * side), side * side, [], []
    w = weights(places, 200.0)
    for _ in range(maps):
        x = smooth(side, sigma, 100, rng).reshape(n, -1)
        one, other, z = np.arange(0, 100, 2), np.arange(1, 100, 2), unit_columns(x)
        drawn = shifts(places, 199, rng, within_um=400.0)
        shifted.append(null(places, x, w, drawn).pvalue[one, other])
        alone = [np.abs((w @ z[:, one]).T @ rng.permutation(z[:, other])).diagonal() for _ in range(199)]
        shuffled.append((1 + (alone >= np.abs(bivariate(x, w)[one, other])).sum(axis=0)) / 200)
    for name, kept in (("shifted on a torus", shifted), ("shuffled one by one", shuffled)):
        p = np.concatenate(kept)
        print(f"maps smooth over {sigma} spots of {side}, {name}: of {len(p)} p-values "
              f"{(p <= 0.05).mean():.3f} up to 0.05, "
              f"{(p <= 0.01).mean():.3f} up to 0.01, KS p = {kstest(p, 'uniform').pvalue:.2g}",
              flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--cells", action="store_true", help="large, without an array")
    parser.add_argument("--calibration", action="store_true")
    given, rng = parser.parse_args(), np.random.default_rng(0)
    if given.large:
        timed(array(450, 200_000), rng.normal(size=(200_000, 100)), 199)
    elif given.cells:
        um = rng.uniform(0, 4500, (200_000, 2))
        timed(Places(um, np.zeros(len(um), int)), rng.normal(size=(len(um), 100)), 199)
    elif given.calibration:
        for sigma in (1.0, 2.0, 4.0):
            calibration(rng, sigma)
    else:
        beside_the_loop(rng)


if __name__ == "__main__":
    main()
