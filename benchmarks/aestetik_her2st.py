"""grid-triplet beside aestetik on the four labelled her2st sections: seconds and adjusted Rand index.

    OMP_NUM_THREADS=2 python benchmarks/aestetik_her2st.py DATA --aestetik-python OTHER/bin/python

DATA holds her2st/counts and her2st/labels. Both get the same 20 principal components of log-normalised
counts (3 000 most variable genes), no image, and the number of labels as the number of clusters; both run
train + embed; K-means (100 restarts) and the majority of the 10 nearest follow outside the clock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SECTIONS = ("B1", "C1", "D1", "G2")
PEER = """
import json, logging, sys, time, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import numpy as np, pandas as pd, anndata, torch
from aestetik import AESTETIK
d = np.load(sys.argv[1]); window, epochs, clusters, seed = map(int, sys.argv[3:7])
n = len(d["x"]); names = [str(i) for i in range(n)]
a = anndata.AnnData(np.zeros((n, 1), np.float32), obs=pd.DataFrame(
    {"x_array": d["xy"][:, 0], "y_array": d["xy"][:, 1]}, index=names))
a.obsm["X_pca_transcriptomics"] = d["x"]; a.obsm["X_pca_morphology"] = np.zeros((n, 1))
torch.set_num_threads(int(sys.argv[7]))
m = AESTETIK(morphology_weight=0, n_cluster=clusters, window_size=window, max_epochs=epochs,
             clustering_method="kmeans", refine_cluster=False, random_state=seed)
# the last clustering is not part of train + embed
m._cluster_embedding = lambda *_: np.zeros(n)
start = time.perf_counter(); m.fit(a); seconds = time.perf_counter() - start
np.savez(sys.argv[2], z=m.embedding_, seconds=seconds)
"""


def section(data: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components (n, 20), positions (n, 2), labels (n,) with '' for none."""
    from sklearn.decomposition import PCA

    counts = pd.read_csv(data / f"her2st/counts/{name}.tsv.gz", sep="\t", index_col=0)
    xy = np.array([[int(v) for v in spot.split("x")] for spot in counts.index])
    table = pd.read_csv(data / f"her2st/labels/{name}_labeled_coordinates.tsv", sep="\t")
    table = table.dropna(subset=["x", "y", "label"])
    known = {(round(x), round(y)): t for x, y, t in zip(table.x, table.y, table.label, strict=True)}
    labels = np.array([known.get((x, y), "") for x, y in xy.tolist()])
    labels[labels == "undetermined"] = ""
    matrix = counts.to_numpy(dtype=float)
    logs = np.log1p(matrix / matrix.sum(1, keepdims=True) * 1e4)
    logs = logs[:, np.argsort(-logs.var(0), kind="stable")[:3000]]
    return PCA(20, random_state=0).fit_transform(logs), xy, labels


def rand_index(z: np.ndarray, xy: np.ndarray, labels: np.ndarray, clusters: int) -> tuple[float, float]:
    """Adjusted Rand index on the labelled spots, before and after the majority of the 10 nearest."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    from sklearn.neighbors import KNeighborsClassifier

    guess = KMeans(clusters, n_init=100, random_state=0).fit_predict(z)
    smooth = KNeighborsClassifier(10, algorithm="brute").fit(xy, guess).predict(xy)
    known = labels != ""
    return tuple(adjusted_rand_score(labels[known], g[known]) for g in (guess, smooth))


def ours(x: np.ndarray, xy: np.ndarray, clusters: int, seed: int, args: argparse.Namespace):
    """Seconds of train + embed, and codes."""
    import torch

    from triptych.core.protocols import Places
    from triptych.fusers.grid_triplet import GridTriplet

    torch.set_num_threads(args.threads)
    places = Places(xy.astype(float), np.zeros(len(xy), dtype=int), xy, "square")
    fuser = GridTriplet(window=args.window, epochs=args.epochs, clusters=clusters)
    start = time.perf_counter()
    z = fuser.fuse({"rna": x}, places, np.random.default_rng(seed))
    return time.perf_counter() - start, z


def peer(x: np.ndarray, xy: np.ndarray, clusters: int, seed: int, args: argparse.Namespace):
    """The same by aestetik in its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(given, x=x, xy=xy)
        words = [args.window, args.epochs, clusters, seed, args.threads]
        subprocess.run(
            [args.aestetik_python, "-c", PEER, given, got, *map(str, words)],
            check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with np.load(got) as result:
            return float(result["seconds"]), result["z"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--aestetik-python", help="interpreter that has aestetik; left out when not given")
    parser.add_argument("--sections", nargs="+", default=SECTIONS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    rows = []
    for name in args.sections:
        x, xy, labels = section(args.data, name)
        clusters = len(set(labels) - {""})
        ours(x, xy, clusters, 0, argparse.Namespace(window=args.window, epochs=1, threads=args.threads))
        row = {"section": name, "spots": len(x), "K": clusters}
        row["pca ari"], row["pca refined"] = rand_index(x, xy, labels, clusters)
        runs = [
            ("ours", ours, args.seeds),
            ("aestetik", peer, args.peer_seeds if args.aestetik_python else 0),
        ]
        for who, run, seeds in runs:
            results = [run(x, xy, clusters, seed, args) for seed in range(seeds)]
            if results:
                row[f"{who} s"] = float(np.median([seconds for seconds, _ in results]))
                scores = np.mean([rand_index(z, xy, labels, clusters) for _, z in results], axis=0)
                row[f"{who} ari"], row[f"{who} refined"] = scores
        if args.aestetik_python:
            row["times faster"] = row["aestetik s"] / row["ours s"]
        rows.append(row)
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    table = pd.DataFrame(rows).set_index("section")
    table.loc["mean"] = table.mean()
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
