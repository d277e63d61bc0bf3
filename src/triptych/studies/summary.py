"""What a study found: each arm with its interval, each arm against the reference, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.core.protocols import Codes, Vector
from triptych.core.randomness import generator
from triptych.maths.bootstrap import group_interval, percentile_interval, spatial_blocks
from triptych.metrics import registry as metrics
from triptych.pipeline.scoring import MEAN
from triptych.pipeline.study import Study
from triptych.studies.design import Design
from triptych.studies.execute import Executed
from triptych.studies.resampling import block_tables, draws_of, resampled

BY_BLOCKS: Final = "ari"  # the metric whose interval can be had from spatial blocks
FEWEST_DONORS: Final = 3
Key = tuple[str, str]  # arm, k_from
SUMMARY: Final = (
    "arm", "k_from", "metric", "value", "low", "high", "sd_seeds", "samples", "donors", "seeds", "k",
    "greater_is_better", "interval", "protocol",
)  # fmt: skip
PAIRS: Final = (
    "arm", "reference", "k_from", "metric", "difference", "low", "high", "wins", "of", "better", "interval",
)  # fmt: skip


def greater_is_better(metric: str) -> bool:
    """The direction of a metric; agreement with a donor or batch (``ari:donor``) is turned round."""
    name, turned, _ = metric.partition(":")
    greater: bool = metrics.make(name).greater_is_better
    return greater != bool(turned)


def units(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows that a summary is made of: no controls, no means."""
    control = runs["slot"].astype(str).str.startswith("control:")
    real = ~control & (runs["sample"] != MEAN) & runs["value"].notna()
    return runs[real]


def summary(executed: Executed, *, seed: int = 0) -> pd.DataFrame:
    """One row per arm, way to choose K, and metric: mean over sections of the mean over seeds.

    The interval resamples donors where there are at least three, else, for the adjusted Rand index, blocks of
    neighbouring spots within sections; else it is NaN. ``sd_seeds`` is the standard deviation, over seeds,
    of the mean over sections.
    """
    rows, drawn = [], _by_blocks(executed, seed)
    for (arm, k_from, metric), part in units(executed.runs).groupby(["arm", "k_from", "metric"], sort=False):
        each = part.groupby(["sample", "donor"], sort=False)["value"].mean()
        low, high, kind = _interval(each, drawn.get((str(arm), str(k_from))), str(metric), seed)
        by_seed = part.groupby("seed")["value"].mean()
        rows.append({
            "arm": arm, "k_from": k_from, "metric": metric, "value": float(each.mean()), "low": low,
            "high": high, "sd_seeds": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else np.nan,
            "samples": len(each), "donors": each.index.get_level_values("donor").nunique(),
            "seeds": len(by_seed), "k": float(part["k"].mean()),
            "greater_is_better": greater_is_better(str(metric)),
            "interval": kind, "protocol": part["protocol"].iloc[0],
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(SUMMARY))


def _interval(each: pd.Series, drawn: Vector | None, metric: str, seed: int) -> tuple[float, float, str]:
    """Low, high, and what was resampled."""
    donors = each.index.get_level_values("donor").astype(str)
    if donors.nunique() >= FEWEST_DONORS and (donors != "").all():
        codes = np.unique(donors, return_inverse=True)[1]
        return (*group_interval(each.to_numpy(), codes, generator(seed, "0")), f"{donors.nunique()} donors")
    if metric == BY_BLOCKS and drawn is not None:
        return (*percentile_interval(drawn), "spatial blocks")
    return float("nan"), float("nan"), ""


def _by_blocks(executed: Executed, seed: int) -> dict[Key, Vector]:
    """Arm and k_from → resampled mean over sections and seeds, with the same draws for every arm."""
    study = executed.study
    if not study.has(slots.TRUTH):
        return {}
    sections = [_blocks(study, name) for name in study.samples]
    found: dict[Key, list[Vector]] = {}
    for position, section in enumerate(sections):
        if section is None:
            continue
        rows, truth, blocks = section
        draws = draws_of(int(blocks.max()) + 1, generator(seed, f"{position:x}"))
        for guess in executed.guesses:
            tables = block_tables(truth, guess.codes[rows].astype(np.int64), blocks)
            found.setdefault((guess.arm, guess.k_from), []).append(resampled(tables, draws))
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _blocks(study: Study, name: str) -> tuple[Codes, Codes, Codes] | None:
    """Rows with known labels of a section, their labels and blocks; None where nothing is known."""
    truth = study.codes(slots.TRUTH, name)[0]
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return None
    return study.rows(name)[known], truth[known], spatial_blocks(study.places(name).um[known])


def references(design: Design) -> dict[str, str]:
    """Arm → the arm that it is held against.

    With factors, the same arm at the first level of the last factor, and that one the study's reference; else
    the study's reference, which is the first arm where none is named.
    """
    levels = design.levels()
    overall = design.reference or next(iter(levels))
    found = {}
    for arm, chosen in levels.items():
        own = overall
        if chosen:
            last = list(design.factors)[-1]
            plain = {**chosen, last: next(iter(design.factors[last]))}
            own = next(name for name, one in levels.items() if one == plain)
        found[arm] = overall if own == arm else own
    return {arm: reference for arm, reference in found.items() if arm != reference}


def pairs(executed: Executed, metric: str, against: Mapping[str, str], *, seed: int = 0) -> pd.DataFrame:
    """Arms against others, section by section: the mean difference and its interval.

    Parameters
    ----------
    executed
        What the arms gave.
    metric
        Which.
    against
        Arm → the arm that it is held against.
    seed
        Of the resampling.
    """
    rows, drawn = [], _by_blocks(executed, seed)
    real = units(executed.runs)
    real = real[real["metric"] == metric]
    greater = greater_is_better(metric)
    for k_from in dict.fromkeys(real["k_from"]):
        part = real[real["k_from"] == k_from]
        table = part.pivot_table("value", ["sample", "donor"], "arm", aggfunc="mean")
        for arm, reference in against.items():
            if not {arm, reference} <= set(table):
                continue
            gap = (table[arm] - table[reference]).dropna()
            both = drawn.get((str(arm), k_from)), drawn.get((reference, k_from))
            draws = both[0] - both[1] if both[0] is not None and both[1] is not None else None
            low, high, kind = _interval(gap, draws, metric, seed)
            rows.append({
                "arm": arm, "reference": reference, "k_from": k_from, "metric": metric,
                "difference": float(gap.mean()), "low": low, "high": high,
                "wins": int((gap > 0).sum() if greater else (gap < 0).sum()), "of": len(gap),
                "better": _verdict(low, high, greater=greater), "interval": kind,
            })  # fmt: skip
    return pd.DataFrame(rows, columns=list(PAIRS))


def _verdict(low: float, high: float, *, greater: bool) -> str:
    if np.isnan(low) or low <= 0 <= high:
        return "not told apart"
    return "better" if (low > 0) == greater else "worse"
