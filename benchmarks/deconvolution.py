"""Deconvolution of pseudo-spots whose cells are known: correlation, error and seconds of a core of each way.

    OMP_NUM_THREADS=1 python benchmarks/deconvolution.py --data DATA [--epochs 3500] [--distortion 0.5]

DATA holds lymph_visium_ref, whose 330 single cells are halved: pseudo-spots of 5 to 10 cells are made of one
half, the other is the reference. Each spot keeps a random share of its molecules (--depth); a gene is seen
more or less often by a platform (--distortion, standard deviation of its logarithm). nnls is given all genes,
and, as cell2location is, the --genes most variable of the reference; "nobody" says the same of every spot,
and "shuffled" is cell2location with the spots in another order. Pearson's r is over spots, of each type and
on average; RMSE is of the proportions, of all together; "in" is the share of the proportions above 0 that lie
in the 5-95 % interval, which never holds 0.

    … --repeat 3      for other spots and halves of the cells
    … --epochs 0      without cell2location
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from triptych.core.abundance import Abundance, Reference
from triptych.core.protocols import Counts
from triptych.deconvolvers.nnls import Nnls
from triptych.maths.mixtures import halves, mixed
from triptych.maths.variable_genes import highly_variable
from triptych.readers.reference import read_reference

SPOTS, CELLS = 300, (5, 10)


def of_genes(counts: Counts, reference: Reference, many: int) -> tuple[Counts, Reference]:
    """Both with the most variable genes of the reference alone."""
    keep = highly_variable(reference.matrix, many, reference.batch)
    genes = reference.genes[keep]
    return (
        replace(counts, matrix=counts.matrix[:, keep], genes=genes),
        replace(reference, matrix=reference.matrix[:, keep], genes=genes),
    )


def shares(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


def correlations(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Pearson's r of each column; NaN where one is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = ((part - part.mean(axis=0)) / part.std(axis=0) for part in (truth, guess))
    return (a * b).mean(axis=0)


def show(who: str, truth: np.ndarray, guess: Abundance, seconds: float) -> None:
    got = shares(guess.values)
    each = correlations(truth, got)
    rmse = np.sqrt(((truth - got) ** 2).mean())
    held = "    "
    if guess.low is not None and guess.high is not None:
        inside = (guess.low <= truth) & (truth <= guess.high)
        held = f"{inside[truth > 0].mean():4.2f}"
    cells = " ".join(f"{r:6.2f}" for r in each)
    print(f"{who:<24} {np.mean(each):5.2f} {rmse:6.3f} {held} {seconds:7.1f}  {cells}", flush=True)


def one(given: argparse.Namespace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = read_reference(given.data / "lymph_visium_ref" / "sc_ref.h5ad")
    cells, others = halves(reference, rng)
    counts, known = mixed(
        cells, rng, spots=SPOTS, cells=CELLS, depth=tuple(given.depth), distortion=given.distortion
    )
    truth = shares(known.values)
    totals = np.asarray(counts.matrix.sum(axis=1)).ravel()
    print(f"seed {seed}: {SPOTS} spots of {np.median(totals):.0f} molecules (median), ", end="")
    print(f"{len(others.types)} reference cells of {len(others.names)} types, {len(others.genes)} genes")
    print(
        f"{'':<24} {'r':>5} {'RMSE':>6} {'in':>4} {'s':>7}  " + " ".join(f"{t[:6]:>6}" for t in known.types)
    )
    same = Abundance(np.broadcast_to(truth.mean(axis=0), truth.shape), known.types)
    show("nobody", truth, same, 0.0)
    few = of_genes(counts, others, given.genes)
    ways = [("nnls", Nnls(), (counts, others)), (f"nnls, {given.genes} genes", Nnls(), few)]
    if given.epochs:
        from triptych.deconvolvers.cell2location import Cell2location

        ours = Cell2location(epochs=given.epochs, cells_per_location=float(np.mean(CELLS)), proportions=True)
        ways += [(f"cell2location, {what}", replace(ours, statistic=what), few) for what in given.statistic]
    for who, way, data in ways:
        start = time.process_time()
        guess = way.deconvolve(*data, np.random.default_rng(seed))
        show(who, truth, guess, time.process_time() - start)
    show("shuffled", truth[rng.permutation(SPOTS)], guess, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3500)
    parser.add_argument("--genes", type=int, default=600)
    parser.add_argument("--distortion", type=float, default=0.0)
    parser.add_argument("--depth", type=float, nargs=2, default=(0.1, 0.3))
    parser.add_argument("--statistic", nargs="+", choices=("q05", "mean"), default=["q05"])
    parser.add_argument("--repeat", type=int, default=1)
    given = parser.parse_args()
    for seed in range(given.repeat):
        one(given, seed)


if __name__ == "__main__":
    main()
