"""All pairs of groups by PERMANOVA, beside scikit-bio on the same pairs in the same process.

    OMP_NUM_THREADS=2 python benchmarks/permanova.py DATA
    OMP_NUM_THREADS=2 python benchmarks/permanova.py --cells 200000 --types 5 --peer-pairs 0

DATA holds mouse_ileum; without it Gaussian groups are drawn. scikit-bio gets the distances of each pair, as
its users must; the seconds of its permutations alone are told beside. Ours runs whole before each part of
scikit-bio's pairs, so that both meet the same load; of ours the median counts. Processor seconds are those of
all threads: on a machine that others use their ratio is the one to trust.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd


def ileum(data: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The stain latent (n, 50), codes of types (n,) with -1 for none, and their names."""
    x = pd.read_csv(data / "mouse_ileum/latent_ls2_stain.csv.gz", index_col=0)
    types = pd.read_csv(data / "mouse_ileum/types.csv.gz", index_col=0).iloc[:, 0].reindex(x.index)
    codes, names = pd.factorize(types.where(types != "Removed"), sort=True)
    return x.to_numpy(), codes, list(names)


def drawn(n: int, types: int, columns: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Groups that differ by little."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, types, n)
    x = rng.normal(size=(n, columns)) + 0.01 * rng.normal(size=(types, columns))[codes]
    return x, codes, [f"type {code}" for code in range(types)]


def seconds() -> np.ndarray:
    """That passed, and that processors worked."""
    return np.array([time.perf_counter(), time.process_time()])


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def peer(z: np.ndarray, codes: np.ndarray, permutations: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Seconds of one pair with its distances, seconds of the permutations alone, F and p."""
    from scipy.spatial.distance import pdist, squareform
    from skbio.stats.distance import DistanceMatrix, permanova

    start = seconds()
    distances = DistanceMatrix(squareform(pdist(z)))
    middle = seconds()
    found = permanova(distances, codes, permutations=permutations, seed=0)
    end = seconds()
    return end - start, end - middle, found["test statistic"], found["p-value"]


def main() -> None:
    from triptych.analyses.permanova import Permanova
    from triptych.core.protocols import Material, Places

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--types", type=int, default=5)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--permutations", type=int, default=999)
    parser.add_argument("--peer-pairs", type=int, default=10**6, help="pairs that scikit-bio gets, at most")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    x, codes, names = ileum(given.data) if given.data else drawn(given.cells, given.types, given.columns)
    places = Places(np.zeros((len(x), 2)), np.zeros(len(x), int))
    material = Material(codes, tuple(names), places, x=x)
    pairs = list(combinations(range(len(names)), 2))
    analysis, before = Permanova(permutations=given.permutations), peak_gb()
    ours = []
    for _ in range(2):  # the first also loads what is imported on the way
        start = seconds()
        table = analysis.analyse(material, np.random.default_rng(0))
        ours = [seconds() - start]
    print(f"{len(pairs)} pairs of {len(x)} x {x.shape[1]}, {given.permutations} permutations")
    print(f"ours: {ours[0][0]:.2f} s ({ours[0][1]:.2f} s of processors), "
          f"peak {peak_gb():.2f} GB, {before:.2f} of them before", flush=True)  # fmt: skip
    chosen = np.arange(min(len(pairs), given.peer_pairs))
    if len(chosen):
        beside(analysis, material, table, np.array(pairs)[chosen], given)


def beside(analysis, material, table: pd.DataFrame, pairs: np.ndarray, given: argparse.Namespace) -> None:
    inside = material.labels >= 0
    z, codes = material.x[inside], material.labels[inside]
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    peer(z[:50], np.arange(50) % 2, 9)  # warms up
    ours, theirs, alone, results = [], np.zeros(2), np.zeros(2), []
    for part in np.array_split(pairs, min(given.rounds, len(pairs))):
        start = seconds()
        analysis.analyse(material, np.random.default_rng(0))
        ours.append(seconds() - start)
        for pair in part:
            rows = np.isin(codes, pair)
            whole, permuting, *result = peer(z[rows], codes[rows], given.permutations)
            theirs, alone = theirs + whole, alone + permuting
            results.append(result)
    f, p = np.array(results).T
    mine = table[: len(pairs)]
    once = np.median(ours, axis=0) * len(pairs) / len(table)
    print(f"ours, median of {len(ours)}: {once[0]:.2f} s ({once[1]:.2f} s of processors)")
    print(f"scikit-bio: {theirs[0]:.1f} s ({theirs[1]:.1f} s of processors), "
          f"its permutations alone {alone[0]:.1f} s ({alone[1]:.1f} s)")  # fmt: skip
    print(f"times faster: {theirs[0] / once[0]:.0f} ({theirs[1] / once[1]:.0f} by processors), "
          f"than its permutations alone {alone[0] / once[0]:.0f} ({alone[1] / once[1]:.0f})")  # fmt: skip
    print(f"largest relative difference of F {np.abs(mine['pseudo_f'] / f - 1).max():.1e}, "
          f"largest difference of p {np.abs(mine['pvalue'] - p).max():.3f}, "
          f"peak of both {peak_gb():.2f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
