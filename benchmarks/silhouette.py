"""Time and peak memory of exact silhouettes, and how they compare with scikit-learn's on fewer rows.

OMP_NUM_THREADS=2 python benchmarks/silhouette.py --n 161000 --d 32 --k 20 --peer-n 20000
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np


def blobs(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clusters of unequal sizes, far from the origin."""
    rng = np.random.default_rng(0)
    codes = rng.choice(k, n, p=rng.dirichlet(np.full(k, 2.0)))
    codes = np.unique(codes, return_inverse=True)[1]
    return rng.normal(size=(n, d)) + 2 * rng.normal(size=(k, d))[codes] + 100, codes


def peak_gb() -> float:
    """Most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    from triptych.maths.neighbours import threads
    from triptych.maths.silhouette import silhouettes

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=161_000)
    parser.add_argument("--d", type=int, default=32)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--peer-n", type=int, default=20_000)
    given = parser.parse_args()
    x, codes = blobs(given.n, given.d, given.k)
    start = time.perf_counter()
    value = silhouettes(x, codes)
    seconds = time.perf_counter() - start
    print(f"{given.n} x {given.d}, {threads()} threads: {seconds:.1f} s, peak {peak_gb():.2f} GB, "
          f"mean {value.mean():.6f}", flush=True)  # fmt: skip
    if given.peer_n:
        from sklearn.metrics import silhouette_samples

        x, codes = blobs(given.peer_n, given.d, given.k)
        start = time.perf_counter()
        ours = silhouettes(x, codes)
        middle = time.perf_counter()
        theirs = silhouette_samples(x, codes)
        end = time.perf_counter()
        print(f"{given.peer_n} rows: ours {middle - start:.2f} s, scikit-learn {end - middle:.2f} s, "
              f"ratio {(end - middle) / (middle - start):.1f}, "
              f"largest difference {np.abs(ours - theirs).max():.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
