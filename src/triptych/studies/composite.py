"""The score by which hyper-parameters are chosen: biology kept against batches mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from triptych.core import slots
from triptych.core.protocols import Codes, Matrix
from triptych.metrics import registry as metrics
from triptych.pipeline.study import STUDY, Study
from triptych.studies.design import Composite

Score = Callable[[float], float]
TO_UNIT: Final[dict[str, Score]] = {  # metrics whose range is −1 … 1
    "silhouette": lambda value: (value + 1) / 2,
}


def composite(study: Study, spec: Composite, *, labels: str, space: str) -> dict[str, float]:
    """Score a joint space and its clusters on the sections that hyper-parameters are chosen on.

    score = λ · mean(bio) + (1 − λ) · mean(batch). ARI, NMI and AMI hold the clusters against the known
    labels; the silhouette, brought to 0 … 1, and cLISI ask how far the known labels are apart in the space;
    iLISI, kBET and the batch silhouette how well the batches are mixed in it; ARI as a batch metric is
    1 − max(0, ARI of the clusters against the donor). With one batch there is no batch part.

    Parameters
    ----------
    study
        After a run.
    spec
        Weight and metrics.
    labels
        Slot of the clusters.
    space
        Slot of the space.

    Returns
    -------
    Metric → value in 0 … 1, and ``score``; NaN where nothing is labelled.
    """
    truth = study.codes(slots.TRUTH, STUDY)[0] if study.has(slots.TRUTH) else np.full(study.table.n_obs, -1)
    x, guess = np.asarray(study.array(space, STUDY)), study.codes(labels, STUDY)[0]
    known = np.flatnonzero(truth >= 0)
    bio: dict[str, float] = {}
    if len(known):
        bio = {name: _bio(name, truth[known], guess[known], x[known]) for name in spec.bio}
    batch_codes, names = study.codes(slots.BATCH, STUDY)
    batch: dict[str, float] = {}
    if len(names) > 1:
        donors = study.codes(slots.DONOR, STUDY)[0]
        for name in spec.batch:
            metric: Any = metrics.make(name)
            if name == "ari":
                value = 1 - max(0.0, float(metric.score(donors, guess)))
            elif hasattr(metric, "score_neighbours"):  # one search for all
                value = metric.score_neighbours(
                    study.neighbours(space, STUDY, metric.neighbours), batch_codes
                )
            else:
                value = metric.score(x, batch_codes)
            batch[f"batch {name}"] = float(value)
    return {**bio, **batch, "score": _weighted(list(bio.values()), list(batch.values()), spec.weight)}


def _bio(name: str, truth: Codes, guess: Codes, x: Matrix) -> float:
    metric = metrics.make(name)
    value = metric.score(x, truth) if metric.against == "space" else metric.score(truth, guess)
    return TO_UNIT.get(name, float)(float(value))


def _weighted(bio: list[float], batch: list[float], weight: float) -> float:
    if not bio:
        return float("nan")
    if not batch:
        return float(np.mean(bio))
    return float(weight * np.mean(bio) + (1 - weight) * np.mean(batch))
