"""Time and peak memory of train + embed on synthetic spots, each run in a process of its own.

    OMP_NUM_THREADS=2 python benchmarks/scaling.py --n 1000 10000 100000 --epochs 3
    … --aestetik-python OTHER/bin/python --peer-n 1000      to run aestetik on the same

Seconds per epoch come from the difference between runs of few and of one epoch; the estimate for 100 epochs
adds what is not training.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PASSES = 20  # of the 1000 by which aestetik embeds; the rest is extrapolated
PEER = """
import json, logging, resource, sys, time, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import numpy as np, pandas as pd, anndata, torch
from aestetik import AESTETIK
n, dims, window, epochs, threads, passes = map(int, sys.argv[1:])
torch.set_num_threads(threads)
rng = np.random.default_rng(0); side = int(np.ceil(n ** 0.5))
x = rng.normal(size=(n, dims)); at = np.arange(n)
names = [str(i) for i in at]
a = anndata.AnnData(np.zeros((n, 1), np.float32), obs=pd.DataFrame(
    {"x_array": at % side, "y_array": at // side}, index=names))
a.obsm["X_pca_transcriptomics"] = x[:, : dims // 2]; a.obsm["X_pca_morphology"] = x[:, dims // 2 :]
m = AESTETIK(morphology_weight=1.5, n_cluster=8, window_size=window, max_epochs=epochs,
             clustering_method="kmeans", refine_cluster=False, num_repeats_predict=passes)
m._cluster_embedding = lambda *_: np.zeros(n)
embed, took = m._compute_latent_space, []
def timed(*given, **named):
    begin = time.perf_counter(); z = embed(*given, **named)
    took.append(time.perf_counter() - begin)
    return z
m._compute_latent_space = timed
start = time.perf_counter(); m.fit(a); seconds = time.perf_counter() - start
print(json.dumps({"fit": seconds - took[0], "pass": took[0] / passes,
    "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
"""


def one(n: int, dims: int, window: int, epochs: int, threads: int) -> None:
    """Fit and embed here; print seconds of both and the peak of this process."""
    import torch

    from triptych.core.protocols import Places
    from triptych.fusers.grid_triplet import GridTriplet

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    side = int(np.ceil(n**0.5))
    grid = np.stack([np.arange(n) % side, np.arange(n) // side], axis=1)
    x = rng.normal(size=(n, dims))
    views = {"rna": x[:, : dims // 2], "img": x[:, dims // 2 :]}
    places = Places(grid.astype(float), np.zeros(n, dtype=int), grid, "square")
    fuser = GridTriplet(window=window, epochs=epochs)
    start = time.perf_counter()
    model = fuser.fit(views, places, rng).model
    middle = time.perf_counter()
    model.apply(views, places)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    embed = time.perf_counter() - middle
    seconds = middle - start  # the fit embeds what it learned from
    print(json.dumps({"fit": seconds - embed, "embed": embed, "s": seconds, "gb": peak}))


def report(who: str, n: int, epoch: float, hundred: float, embed: float, peak_gb: float) -> None:
    times = f"epoch {epoch:8.3f} s  embed {embed:8.2f} s  100 epochs + embed {hundred:9.1f} s"
    print(f"{who}  n={n:>7}  {times}  peak {peak_gb:5.2f} GB", flush=True)


def child(words: list[object], command: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:  # aestetik writes logs where it runs
        done = subprocess.run(
            [*command, *map(str, words)], check=True, capture_output=True, text=True, cwd=folder
        )
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--dims", type=int, default=40)
    parser.add_argument("--window", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--aestetik-python")
    parser.add_argument("--peer-n", type=int, nargs="*", default=[1000])
    parser.add_argument("--one", type=int, nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(*args.one)
        return
    here = [sys.executable, str(Path(__file__).resolve()), "--one"]
    for n in args.n:
        few = child([n, args.dims, args.window, args.epochs, args.threads], here)
        first = child([n, args.dims, args.window, 1, args.threads], here)
        epoch = (few["fit"] - first["fit"]) / (args.epochs - 1)
        hundred = first["s"] + 99 * epoch
        report("triptych", n, epoch, hundred, few["embed"], max(few["gb"], first["gb"]))
    for n in args.peer_n if args.aestetik_python else []:
        command = [args.aestetik_python, "-c", PEER]
        few = child([n, args.dims, args.window, args.epochs, args.threads, PASSES], command)
        first = child([n, args.dims, args.window, 1, args.threads, PASSES], command)
        epoch, embed = (few["fit"] - first["fit"]) / (args.epochs - 1), 1000 * few["pass"]
        report("aestetik", n, epoch, first["fit"] + 99 * epoch + embed, embed, max(few["gb"], first["gb"]))


if __name__ == "__main__":
    main()
