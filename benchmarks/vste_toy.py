"""What VAEs of crops learn that counts and CellProfiler's features do not: a toy with known truth.

The VAE is trained on one section without labels; a random forest is trained on its codes there and judged on
another section, which neither has seen. Types A, B, C differ only in where molecules lie; C, D, E only in the
texture of a stain, D and E being whorls that are each other's mirror image.

    python benchmarks/vste_toy.py [--seeds 3] [--cells 600]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from triptych.core.errors import TriptychWarning
from triptych.encoders import registry
from triptych.pipeline.cropping import crops_of
from triptych.pipeline.study import Study
from triptych.readers.read import read
from triptych.readers.toy.crops_reader import ToyCrops

ARRANGED, TEXTURED = (0, 1, 2), (2, 3, 4)
SPOTS = {
    "crop_px": 40, "channels": (32, 32, 32), "epochs": 60, "latent": 20, "spot_px": 7, "lr": 1e-3,
    "batch": 16,
}  # fmt: skip
STAINS = {"crop_px": 40, "channels": (8, 16, 32), "epochs": 60, "latent": 20, "lr": 1e-3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=600, help="of each of the two sections")
    given = parser.parse_args()
    print(f"{'features':14s} {'seed':>4s} {'A, B, C':>8s} {'C, D, E':>8s} {'seconds':>8s}")
    for name, seed, arranged, textured, seconds in rows(given.seeds, given.cells):
        print(f"{name:14s} {seed:4d} {arranged:8.3f} {textured:8.3f} {seconds:8.1f}", flush=True)


def rows(seeds: int, cells: int) -> Iterator[tuple[str, int, float, float, float]]:
    """Features, seed, balanced accuracy among A, B, C and among C, D, E, and seconds that they took."""
    for seed in range(seeds):
        study = Study(read(str(ToyCrops(seed=seed, sections=2, cells=cells).folder())))
        truth = [study.codes("obs:truth", name)[0] for name in study.samples]
        makers = {"counts": counts, "cellprofiler": profiles, "spot-vae": codes, "stain-vae": codes}
        for name, make in makers.items():
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TriptychWarning)  # of the few molecules that a crop cuts off
                x = make(study, name, seed)
            seconds = time.perf_counter() - start
            yield name, seed, judged(x, truth, ARRANGED), judged(x, truth, TEXTURED), seconds


def counts(study: Study, name: str, seed: int) -> list[Any]:
    return [np.log1p(study.counts(section).matrix.toarray()) for section in study.samples]


def profiles(study: Study, name: str, seed: int) -> list[Any]:
    encoder = registry.make(name, {"crop_px": 40})
    rng = np.random.default_rng(seed)
    return [np.nan_to_num(encoder.encode(crops_of(study, encoder, one), rng)) for one in study.samples]


def codes(study: Study, name: str, seed: int) -> list[Any]:
    encoder = registry.make(name, SPOTS if name == "spot-vae" else STAINS)
    first, second = (crops_of(study, encoder, section) for section in study.samples)
    value, model = encoder.fit(first, np.random.default_rng(seed))
    return [value, model.apply(second)]


def judged(x: list[Any], truth: list[Any], kept: tuple[int, ...]) -> float:
    """Balanced accuracy on the second section of a forest of the first, among some types."""
    first, second = (np.isin(codes, kept) for codes in truth)
    forest = RandomForestClassifier(300, min_samples_leaf=3, class_weight="balanced", random_state=0)
    forest.fit(x[0][first], truth[0][first])
    return float(balanced_accuracy_score(truth[1][second], forest.predict(x[1][second])))


if __name__ == "__main__":
    main()
