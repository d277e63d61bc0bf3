"""grid-joint beside align-then-fuse on labelled sections: adjusted Rand index by section, and mixing.

    OMP_NUM_THREADS=2 python benchmarks/joint.py DATA --samples 151673 151674

DATA is anything that triptych reads, with known labels. Every method gets the same 20 principal components;
K-means (20 restarts) over the study gets the number of labels, and the majority of the 10 nearest refines.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from triptych.aligners.harmony import Harmony
from triptych.encoders.genes.pca import Pca
from triptych.fusers.grid_joint import GridJoint
from triptych.fusers.grid_triplet import GridTriplet
from triptych.maths.neighbours import nearest
from triptych.metrics.ilisi import Ilisi
from triptych.pipeline.study import Study
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.refiners.majority import Majority

PCA = Pca(min_spots=10, hvg=3000, target_sum=10_000, scale=True, components=20)


def spaces(counts, places, seed: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """Name, seconds of alignment and fusion, and codes of each method."""

    def rng() -> np.random.Generator:
        return np.random.default_rng(seed)

    x = PCA.encode(counts, rng())
    yield "pca", 0.0, x
    start = time.perf_counter()
    aligned = Harmony().align(x, counts.batch, rng())
    took = time.perf_counter() - start
    yield "harmony", took, aligned
    for name, fuser, view, before in (
        ("pca + grid-triplet", GridTriplet(), x, 0.0),
        ("harmony + grid-triplet", GridTriplet(), aligned, took),
        ("grid-joint", GridJoint(), x, 0.0),
    ):
        start = time.perf_counter()
        z = fuser.fuse({"rna": view}, places, rng())
        yield name, before + time.perf_counter() - start, z


def scores(z: np.ndarray, places, truth: np.ndarray) -> dict[str, float]:
    """Mean over sections of the adjusted Rand index, raw and refined, and iLISI of the sections."""
    found = KMeans(len(set(truth[truth >= 0])), n_init=20, random_state=0).fit_predict(z)
    refined = Majority(10).refine(found, places)
    known = [(truth >= 0) & (places.sample == code) for code in np.unique(places.sample)]
    row = {
        name: np.mean([adjusted_rand_score(truth[rows], guess[rows]) for rows in known if rows.any()])
        for name, guess in (("ari", found), ("ari refined", refined))
    }
    return row | {"ilisi": Ilisi().value(nearest(z, 90), places.sample)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--samples", nargs="+", default=[], help="two or more sections; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    study = Study(read(args.data, ReadOptions(samples=tuple(args.samples))))
    counts, places = study.counts("study"), study.places("study")
    truth, _ = study.codes("obs:truth", "study")
    rows = []
    for seed in range(args.seeds):
        for name, seconds, z in spaces(counts, places, seed):
            rows.append({"method": name, "seconds": seconds} | scores(z, places, truth))
            print(
                seed,
                {k: round(float(v), 3) if isinstance(v, float) else v for k, v in rows[-1].items()},
                flush=True,
            )
    print(pd.DataFrame(rows).groupby("method", sort=False).mean().round(3).to_string())


if __name__ == "__main__":
    main()
