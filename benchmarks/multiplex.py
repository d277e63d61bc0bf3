"""The whole tuning of multiplex Leiden, ours beside muon's: seconds, and the partitions' quality.

    TRIPTYCH_DATA=DATA OMP_NUM_THREADS=1 python benchmarks/multiplex.py [--full] [--again]

Each view gets the neighbours and the resolution of highest silhouette, then the weight of the genes' layer
is chosen by the mean silhouette over both views. Views are log-normalised counts and the latent of the
stains of mouse_ileum, else simulated ones of that size. Both sides try the same grid, with --full the
default of 80 points for views and 15 weights, else 20 and 4, which are about in proportion; the layers of
both have the neighbours and resolutions that ours chose.

Theirs: scanpy.pp.neighbors once for each number of neighbours (--again: for each point), muon.tl.leiden for
each point, and silhouettes by scikit-learn. With random_state 0 muon leaves its layers unseeded; here it is
1. Both take leidenalg's two passes over the layers. Seconds are of the clock, and of the processor in
brackets, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from triptych.clusterers.leiden import Leiden
from triptych.clusterers.multiplex_leiden import MultiplexLeiden
from triptych.clusterers.multiplex_leiden_layers import Layer, layers_of, shares

Seconds = dict[str, np.ndarray]
SEED = 1


def ileum(folder: Path) -> dict[str, np.ndarray]:
    """Log-normalised counts and the latent of the stains, of cells that have a type."""
    types = pd.read_csv(folder / "types.csv.gz", index_col=0).iloc[:, 0]
    counts = pd.read_csv(folder / "counts.csv.gz", index_col=0)
    latent = pd.read_csv(folder / "latent_ls2_stain.csv.gz", index_col=0)
    rows = counts.index.intersection(latent.index).intersection(types.index[types != "Removed"])
    total = counts.loc[rows].sum(axis=1)
    scaled = counts.loc[rows].div(total.clip(lower=1), axis=0) * total.median()
    return {"rna": np.log1p(scaled.to_numpy()), "img": latent.loc[rows].to_numpy(np.float64)}


def simulated(n: int = 5194) -> dict[str, np.ndarray]:
    """19 types of unequal size that the genes show well and the stains badly."""
    rng = np.random.default_rng(0)
    types = rng.choice(19, n, p=rng.dirichlet(np.full(19, 2.0)))
    rate = rng.gamma(0.3, 1.0, (19, 241))[types] * rng.lognormal(0, 0.6, (n, 1))
    latent = rng.normal(size=(n, 50)) * 3 + rng.normal(size=(19, 50))[types]
    return {"rna": np.log1p(rng.poisson(rate)), "img": latent}


@contextmanager
def timed(seconds: Seconds, name: str) -> Iterator[None]:
    """Add what the block takes, by the clock and by the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    took = np.array([time.perf_counter() - clock, time.process_time() - processor])
    seconds[name] = seconds.get(name, np.zeros(2)) + took


def ours(views: dict, tuner: Leiden, multiplex: MultiplexLeiden) -> tuple[dict, dict, Seconds]:
    """The tuned models, what was chosen for the layers, and the seconds."""
    seconds: Seconds = {}
    tuned = {}
    for role, view in views.items():
        with timed(seconds, "views"):
            tuned[role] = tuner.fit(view, np.random.default_rng(SEED)).model
        print(f"ours {role}: {tuned[role].chosen}", flush=True)
    with timed(seconds, "layers"):
        model = multiplex.fit(views, np.random.default_rng(SEED), tuned=tuned).model
    return tuned, model.chosen, seconds


def theirs(
    views: dict, tuner: Leiden, multiplex: MultiplexLeiden, tuned: dict, again: bool
) -> tuple[dict, Seconds]:
    """What muon's road chooses, and the seconds."""
    import anndata
    import muon
    import scanpy
    from sklearn.metrics import silhouette_score

    seconds: Seconds = {}
    tables = {role: anndata.AnnData(view.astype(np.float32)) for role, view in views.items()}
    warm = anndata.AnnData(views["img"][:300].astype(np.float32))
    scanpy.pp.neighbors(warm, 5, use_rep="X")  # compiles

    def search(table: anndata.AnnData, count: int) -> None:
        scanpy.pp.neighbors(table, count + 1, use_rep="X", random_state=SEED)  # theirs counts the row itself

    for role, table in tables.items():
        best = (-2.0, 0, 0.0)
        with timed(seconds, "views"):
            for count in tuner.try_neighbours:
                search(table, count)
                for resolution in tuner.try_resolutions:
                    if again and resolution != tuner.try_resolutions[0]:
                        search(table, count)
                    muon.tl.leiden(table, resolution=resolution, random_state=SEED)
                    if table.obs["leiden"].nunique() >= tuner.least:
                        value = silhouette_score(table.X, table.obs["leiden"])
                        best = max(best, (value, count, resolution))
        print(
            f"muon {role}: neighbours {best[1]}, resolution {best[2]}, silhouette {best[0]:.4f}", flush=True
        )
    chosen = {"silhouette": -2.0}
    with timed(seconds, "layers"):
        for role, table in tables.items():
            search(table, tuned[role].chosen["neighbours"])
        both = muon.MuData(tables)
        resolution = {role: tuned[role].chosen["resolution"] for role in views}
        for weight in multiplex.try_weights:
            given = shares(list(views), multiplex.lead, weight)
            muon.tl.leiden(both, resolution=resolution, mod_weights=given, random_state=SEED)
            labels = both.obs["leiden"]
            if labels.nunique() >= multiplex.least:
                value = float(np.mean([silhouette_score(table.X, labels) for table in tables.values()]))
                if value > chosen["silhouette"]:
                    chosen = {"weight": weight, "silhouette": value, "clusters": labels.nunique()}
    return chosen, seconds


def quality(layers: dict[str, Layer], share: dict[str, float], labels: np.ndarray | None = None) -> float:
    """Σ w Q of the labels, or of those that leidenalg finds when it is called directly with the same seed."""
    import leidenalg

    parts = [
        leidenalg.RBConfigurationVertexPartition(
            layer.graph, initial_membership=None if labels is None else labels.tolist(),
            weights=layer.weights, resolution_parameter=layer.resolution,
        )
        for layer in layers.values()
    ]  # fmt: skip
    if labels is None:
        optimiser = leidenalg.Optimiser()
        optimiser.set_rng_seed(int(np.random.default_rng(SEED).integers(2**31 - 1)))
        optimiser.optimise_partition_multiplex(parts, [share[role] for role in layers], n_iterations=2)
    return sum(share[role] * part.quality() for role, part in zip(layers, parts, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = os.environ.get("TRIPTYCH_DATA")
    views = ileum(Path(data) / "mouse_ileum") if data else simulated()
    tuner, multiplex = Leiden(tune="silhouette"), MultiplexLeiden()
    if not given.full:
        tuner = Leiden(tune="silhouette", try_resolutions=(0.4, 1.0))
        multiplex = MultiplexLeiden(try_weights=(0.1, 0.5, 0.9, 0.99))
    points = len(views) * len(tuner.try_neighbours) * len(tuner.try_resolutions) + len(multiplex.try_weights)
    print({role: view.shape for role, view in views.items()}, f"{points} points", flush=True)
    tuned, chosen, mine = ours(views, tuner, multiplex)
    print(f"ours: {chosen}", flush=True)
    other, peer = theirs(views, tuner, multiplex, tuned, given.again)
    print(f"muon: {other}")
    mine["all"], peer["all"] = sum(mine.values()), sum(peer.values())
    for name in ("views", "layers", "all"):
        (a, b), (c, d) = mine[name], peer[name]
        print(f"{name}: ours {a:.1f} s ({b:.1f}), muon {c:.1f} s ({d:.1f}), ratio {c / a:.1f} ({d / b:.1f})")
    layers, share = layers_of(multiplex, views, tuned), shares(sorted(views), "rna", 0.5)
    single = MultiplexLeiden(try_weights=(0.5,)).fit(views, np.random.default_rng(SEED), tuned=tuned).value
    print(f"quality: ours {quality(layers, share, single):.6f}, leidenalg {quality(layers, share):.6f}")


if __name__ == "__main__":
    main()
