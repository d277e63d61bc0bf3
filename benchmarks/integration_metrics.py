"""Metrics of integration beside scib-metrics, on the same neighbours: values, seconds, peak memory.

    OMP_NUM_THREADS=2 python benchmarks/integration_metrics.py --n 20000 --scib-python OTHER/bin/python

Neighbours are found once (exact), written to a file, and both sides read them in an interpreter of their own.
Both run twice, since their first call compiles and ours imports; the ratio is that of the second calls.
Theirs takes every core it may (taskset limits both).
Silhouettes compare all pairs: ask for them with --silhouette.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

PEER = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, scib_metrics as s
from scib_metrics.nearest_neighbors import NeighborsResults
d = np.load(sys.argv[1]); label, batch = d["label"], d["batch"]
of = lambda k: NeighborsResults(np.ascontiguousarray(d_i[:, :k]), np.ascontiguousarray(d_d[:, :k]))
d_i, d_d = d["indices"], d["distances"]
a, b, c = of(90), of(50), of(15)
runs = {"ilisi": lambda: s.ilisi_knn(a, batch), "clisi": lambda: s.clisi_knn(a, label),
        "kbet": lambda: s.kbet(b, batch)[0], "graph-connectivity": lambda: s.graph_connectivity(c, label)}
if "--silhouette" in sys.argv:
    runs["batch-silhouette"] = lambda: s.silhouette_batch(d["x"], label, batch)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rows = []
for name, run in runs.items():
    seconds = []
    for _ in range(2):
        start = time.perf_counter(); value = float(run()); seconds.append(time.perf_counter() - start)
    rows.append({"metric": name, "value": value, "seconds": seconds[1], "first": seconds[0], "peak": peak()})
print(json.dumps(rows))
"""


def cells(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Space (n, d), 12 labels, 5 batches of unequal sizes that shift a little and favour some labels."""
    rng = np.random.default_rng(seed)
    batch = rng.choice(5, n, p=[0.35, 0.25, 0.2, 0.15, 0.05])
    favoured = rng.dirichlet(np.full(12, 5.0), 5)
    label = (rng.uniform(size=n)[:, None] > favoured.cumsum(axis=1)[batch][:, :-1]).sum(axis=1)
    scale = 1 / np.sqrt(1 + np.arange(d))  # as principal components fall off
    x = rng.normal(size=(n, d)) + rng.normal(0, 0.8, (12, d))[label] + rng.normal(0, 0.3, (5, d))[batch]
    return x * scale, label, batch


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def find(n: int, d: int, seed: int, path: Path) -> None:
    """Find 90 neighbours and write them."""
    from triptych.maths.neighbours import nearest

    x, label, batch = cells(n, d, seed)
    before, start = peak_mb(), time.perf_counter()
    found = nearest(x, 90)
    row = {"metric": "(neighbours)", "seconds": time.perf_counter() - start, "peak": peak_mb()}
    print(json.dumps([{**row, "before": before}]))
    np.savez(path, x=x, label=label, batch=batch, indices=found.indices, distances=found.distances)


def ours(path: Path, silhouette: bool) -> None:
    """Score the neighbours of a file."""
    from triptych.maths.neighbours import Neighbours
    from triptych.metrics import registry

    with np.load(path) as data:
        x, label, batch = data["x"], data["label"], data["batch"]
        found = Neighbours(data["indices"], data["distances"])
    codes = {"ilisi": batch, "clisi": label, "kbet": batch, "graph-connectivity": label}
    rows = []
    runs = {name: partial(registry.make(name).score_neighbours, found, of) for name, of in codes.items()}
    if silhouette:
        runs["batch-silhouette"] = partial(registry.make("batch-silhouette").score, x, batch, label)
    for name, score in runs.items():
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            value = score()
            seconds.append(time.perf_counter() - start)
        row = {"value": value, "seconds": seconds[1], "first": seconds[0], "peak": peak_mb()}
        rows.append({"metric": name, **row})
    print(json.dumps(rows))


def run(command: list[str]) -> dict[str, dict[str, float]]:
    """Run one side in an interpreter of its own; rows by metric."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {row.pop("metric"): row for row in json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--d", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scib-python", help="interpreter that has scib-metrics; left out when not given")
    parser.add_argument("--silhouette", action="store_true", help="compare all pairs too")
    parser.add_argument("--side", choices=("find", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side == "find":
        return find(args.n, args.d, args.seed, args.file)
    if args.side == "ours":
        return ours(args.file, args.silhouette)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "neighbours.npz")
        extra = ["--silhouette"] if args.silhouette else []
        size = ["--n", str(args.n), "--d", str(args.d), "--seed", str(args.seed)]
        me = [sys.executable, __file__, "--file", str(path), *size]
        search = run([*me, "--side", "find"])["(neighbours)"]
        mine = run([*me, "--side", "ours", *extra])
        theirs = run([args.scib_python, "-c", PEER, str(path), *extra]) if args.scib_python else {}
    took = f"{search['seconds']:.1f} s, peak {search['peak']:.0f} MB ({search['before']:.0f} MB before)"
    print(f"{args.n} x {args.d}: 90 exact neighbours in {took}; load {os.getloadavg()[0]:.1f}")
    heads = ("ours s", "scib s", "ratio", "1st ours", "1st scib", "ours MB", "scib MB")
    print(f"{'metric':20}{'ours':>10}{'scib':>10}{'differ':>10}" + "".join(f"{head:>9}" for head in heads))
    nothing = dict.fromkeys(("value", "seconds", "first", "peak"), float("nan"))
    for name, row in mine.items():
        peer = theirs.get(name, nothing)
        print(f"{name:20}{row['value']:10.5f}{peer['value']:10.5f}{abs(row['value'] - peer['value']):10.1e}"
              f"{row['seconds']:9.2f}{peer['seconds']:9.2f}{row['seconds'] / peer['seconds']:9.2f}"
              f"{row['first']:9.2f}{peer['first']:9.2f}{row['peak']:9.0f}{peer['peak']:9.0f}")  # fmt: skip
    return None


if __name__ == "__main__":
    main()
