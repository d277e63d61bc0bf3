"""What a study found: each arm with its interval, each arm against the reference, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.protocols import Codes, Indices, Vector
from triptych.core.randomness import generator
from triptych.maths.bootstrap import group_interval, percentile_interval, spatial_blocks
from triptych.metrics import registry as metrics
from triptych.pipeline.scoring import MEAN
from triptych.pipeline.study import STUDY, Study
from triptych.studies.design import Design
from triptych.studies.execute import ALL, ELSEWHERE, Executed
from triptych.studies.resampling import OF_TABLES, block_tables, draws_of, resampled
from triptych.studies.resampling_types import OF_SUMS, of_section

OF_RUNS: Final = {  # what is no metric of its own → whether more of it is better
    "colocalisation-cosine": True, "colocalisation-correlation": True, "seconds": False,
}  # fmt: skip
FEWEST_DONORS: Final = 3
Key = tuple[str, str, str]  # arm, k_from, metric
SUMMARY: Final = (
    "arm", "k_from", "metric", "value", "low", "high", "sd_seeds", "samples", "donors", "seeds", "k",
    "greater_is_better", "interval", "protocol",
)  # fmt: skip
PAIRS: Final = (
    "arm", "reference", "k_from", "metric", "difference", "low", "high", "wins", "of", "better", "interval",
)  # fmt: skip


def greater_is_better(metric: str) -> bool:
    """The direction of a metric; agreement with a donor or batch (``ari:donor``) is turned round."""
    name, turned, _ = metric.partition("@")[0].partition(":")
    if name in OF_RUNS:
        return OF_RUNS[name]
    made = metrics.make(name)
    greater: bool = made.greater_is_better
    return greater != (bool(turned) and made.against == "truth")


def units(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows that a summary is made of: no controls, no means."""
    control = runs["slot"].astype(str).str.startswith("control:")
    real = ~control & (runs["sample"] != MEAN) & runs["value"].notna()
    return runs[real]


def summary(executed: Executed, *, seed: int = 0) -> pd.DataFrame:
    """One row per arm, way to choose K, and metric: mean over sections of the mean over seeds.

    The interval resamples donors where there are at least three, else, for metrics that follow from a table
    of counts (`OF_TABLES`), blocks of neighbouring spots within sections; else it is NaN. ``sd_seeds`` is the
    standard deviation, over seeds, of the mean over sections. What was scored over the study has all its
    sections and donors.
    """
    rows, drawn = [], _by_blocks(executed, seed)
    for (arm, k_from, metric), part in units(executed.runs).groupby(["arm", "k_from", "metric"], sort=False):
        each = part.groupby(["sample", "donor"], sort=False)["value"].mean()
        low, high, kind = _interval(each, drawn.get((str(arm), str(k_from), str(metric))), seed)
        if not kind and len(each) == 1 and part["low"].notna().all():  # the section's own, over seeds
            low, high, kind = float(part["low"].mean()), float(part["high"].mean()), drawn_of(str(metric))
        by_seed = part.groupby("seed")["value"].mean()
        whole = set(part["sample"]) == {ALL}
        donors, samples = set(part["donor"]), set(part["sample"])
        if whole:
            donors, samples = _whole(executed, str(metric))
        rows.append({
            "arm": arm, "k_from": k_from, "metric": metric, "value": float(each.mean()), "low": low,
            "high": high, "sd_seeds": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else np.nan,
            "samples": len(samples), "donors": len(donors),
            "seeds": len(by_seed), "k": float(part["k"].mean()),
            "greater_is_better": greater_is_better(str(metric)),
            "interval": kind, "protocol": part["protocol"].iloc[0],
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(SUMMARY))


def drawn_of(metric: str) -> str:
    """What the interval of a score over a whole study draws."""
    made = metrics.make(metric.partition("@")[0].partition(":")[0])
    return "pictures" if made.against == "nuclei" else "spatial blocks"


def _whole(executed: Executed, metric: str) -> tuple[set[str], set[str]]:
    """Donors and sections of a study; of other data those that any of their scores names."""
    if not metric.endswith(ELSEWHERE):
        return set(executed.study.donors.values()), set(executed.study.samples)
    there = units(executed.runs)
    there = there[there["metric"].astype(str).str.endswith(ELSEWHERE) & (there["sample"] != ALL)]
    return set(there["donor"]), set(there["sample"])


def _interval(each: pd.Series, drawn: Vector | None, seed: int) -> tuple[float, float, str]:
    """Low, high, and what was resampled."""
    donors = each.index.get_level_values("donor").astype(str)
    if donors.nunique() >= FEWEST_DONORS and (donors != "").all():
        codes = np.unique(donors, return_inverse=True)[1]
        return (*group_interval(each.to_numpy(), codes, generator(seed, "0")), f"{donors.nunique()} donors")
    if drawn is not None:
        return (*percentile_interval(drawn), "spatial blocks")
    return float("nan"), float("nan"), ""


def _by_blocks(executed: Executed, seed: int) -> dict[Key, Vector]:
    """Arm, k_from and metric → resampled mean over seeds, with the same draws for every arm.

    Of a metric that was scored over the study the tables of the sections are added up, of one that was scored
    section by section its values are averaged.
    """
    if any(guess.types is not None for guess in executed.guesses):
        return _types_by_blocks(executed, seed)
    study, runs = executed.study, units(executed.runs)
    metrics = [name for name in OF_TABLES if name in set(runs["metric"])]
    if not study.has(slots.TRUTH) or not metrics:
        return {}
    pooled = {name: set(runs.loc[runs["metric"] == name, "sample"]) == {ALL} for name in metrics}
    sections = [section for name in study.samples if (section := _blocks(study, name)) is not None]
    draws = [
        draws_of(int(blocks.max()) + 1, generator(seed, f"{position:x}"))
        for position, (_, _, blocks) in enumerate(sections)
    ]
    found: dict[Key, list[Vector]] = {}
    for guess in executed.guesses if sections else []:
        if guess.codes is None:
            continue
        tables = _resampled(sections, draws, guess.codes.astype(np.int64))
        for name in metrics:
            of = OF_TABLES[name]
            value = (
                of(np.sum(tables, axis=0)) if pooled[name] else np.mean([of(one) for one in tables], axis=0)
            )
            found.setdefault((guess.arm, guess.k_from, name), []).append(value)
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _types_by_blocks(executed: Executed, seed: int) -> dict[Key, Vector]:
    """Arm, k_from and metric → resampled mean over sections and seeds of predicted cell types."""
    study = executed.study
    found: dict[Key, list[Vector]] = {}
    named = [name for name in OF_SUMS if name in set(executed.runs["metric"])]
    for guess in executed.guesses:
        truth = guess.truth
        if guess.types is None or truth is None or guess.types.types != truth.types:
            continue
        sections = list(_known_blocks(study, truth, seed))
        for metric in named:
            if metric == "coverage" and guess.types.low is None:
                continue
            each = [of_section(metric, truth, guess.types, *section) for section in sections]
            known = [one for one in each if one is not None]
            if known:
                found.setdefault((guess.arm, guess.k_from, metric), []).append(np.mean(known, axis=0))
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _known_blocks(
    study: Study, truth: Abundance, seed: int
) -> Iterator[tuple[Indices, Codes, NDArray[np.float64]]]:
    """Of each section the rows whose cell types are known, their blocks, and how often these are drawn."""
    for position, name in enumerate(study.samples):
        rows = study.rows(name)
        known = np.flatnonzero(np.isfinite(truth.values[rows]).all(axis=1))
        if len(known):
            blocks = spatial_blocks(study.places(name).um[known])
            yield rows[known], blocks, draws_of(int(blocks.max()) + 1, generator(seed, f"{position:x}"))


def _resampled(
    sections: list[tuple[Indices, Codes, Codes]], draws: list[NDArray[np.float64]], codes: Codes
) -> list[NDArray[np.float64]]:
    """The resampled tables of each section."""
    least = (max(int(truth.max()) for _, truth, _ in sections) + 1, int(codes.max()) + 1)
    return [
        resampled(block_tables(truth, codes[rows], blocks, least=least), some)
        for (rows, truth, blocks), some in zip(sections, draws, strict=True)
    ]


def _blocks(study: Study, name: str) -> tuple[Indices, Codes, Codes] | None:
    """Rows with known labels of a section, their labels and blocks; None where nothing is known."""
    rows = study.rows(name)
    truth = study.codes(slots.TRUTH, STUDY)[0][rows]
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return None
    return rows[known], truth[known], spatial_blocks(study.places(name).um[known])


def references(design: Design) -> dict[str, str]:
    """Arm → the arm that it is held against.

    With factors, the same arm at the first level of the last factor, and that one the study's reference; else
    the study's reference, which is the first arm where none is named. In a table, the same arm in the column
    that the table is held against.
    """
    levels = design.levels()
    if design.tables:
        return _of_tables(design)
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


def _of_tables(design: Design) -> dict[str, str]:
    """Arm → the same arm in the plain column, of the first table that has one."""
    found: dict[str, str] = {}
    for table in design.tables.values():
        arms = table.arms(design.settings)
        for arm, chosen in arms.items():
            plain = table.plain(chosen, arms)
            if plain and plain != arm:
                found.setdefault(arm, plain)
    return found


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
            both = drawn.get((str(arm), k_from, metric)), drawn.get((reference, k_from, metric))
            draws = both[0] - both[1] if both[0] is not None and both[1] is not None else None
            low, high, kind = _interval(gap, draws, seed)
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
