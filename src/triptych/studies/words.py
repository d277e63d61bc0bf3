"""What a study found, in plain sentences that follow from its tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

K_WORDS = {
    "truth": "With oracle K", "bic": "With K by information criterion", "stability": "With K by stability",
    "recipe": "With the recipes' own K",
}  # fmt: skip


def conclusions(
    summary: pd.DataFrame,
    pairs: pd.DataFrame,
    levels: Mapping[str, Mapping[str, str]],
    metric: str,
    *,
    asked: Collection[str],
) -> list[str]:
    """Sentences on the first metric: the best arm, and what each level adds to the plain one.

    Parameters
    ----------
    summary
        As `triptych.studies.summary.summary` gives it.
    pairs
        Arms against their references.
    levels
        Arm → factor → level.
    metric
        Which.
    asked
        The factors whose levels are compared.
    """
    found = []
    for k_from, part in summary[summary["metric"] == metric].groupby("k_from", sort=False):
        found += _best(part, str(k_from), metric)
        gaps = pairs[pairs["k_from"] == k_from] if len(pairs) else pairs
        if len(gaps):
            found += _gaps(gaps, levels, asked)
    return found


def _best(part: pd.DataFrame, k_from: str, metric: str) -> list[str]:
    greater = bool(part["greater_is_better"].iloc[0])
    order = part.sort_values("value", ascending=not greater)
    best = order.iloc[0]
    span = f" ({best['low']:.3f} to {best['high']:.3f})" if pd.notna(best["low"]) else ""
    words = f"{K_WORDS.get(k_from, k_from)} the" if part["k"].notna().any() else "The"
    extreme = f"{'highest' if greater else 'lowest'} " if len(part) > 1 else ""
    return [f"{words} {extreme}mean {metric} is {best['value']:.3f}{span}: {best['arm']}."]


def _gaps(gaps: pd.DataFrame, levels: Mapping[str, Mapping[str, str]], asked: Collection[str]) -> list[str]:
    """What each level of a factor adds, over the levels of the others; or each arm by itself."""
    grouped: dict[tuple[str, str], list[int]] = {}
    for place, (arm, reference) in enumerate(zip(gaps["arm"], gaps["reference"], strict=True)):
        one, plain = levels.get(arm, {}), levels.get(reference, {})
        other = [factor for factor in {**one, **plain} if one.get(factor) != plain.get(factor)]
        if len(other) == 1 and other[0] in asked:
            grouped.setdefault((one[other[0]], plain[other[0]]), []).append(place)
    if not grouped:
        return [_one(row) for _, row in gaps.iterrows()]
    told = []
    for (level, plain_level), places in grouped.items():
        part = gaps.iloc[places]
        counts = part["better"].value_counts()
        better, worse, same = (counts.get(w, 0) for w in ("better", "worse", "not told apart"))
        told.append(
            f"{level} against {plain_level}: better in {better}, worse in {worse}, not told apart in {same} "
            f"of {len(part)} settings; mean difference {part['difference'].mean():+.3f}."
        )
    return told


def _one(row: pd.Series) -> str:
    span = f" ({row['low']:+.3f} to {row['high']:+.3f})" if pd.notna(row["low"]) else ""
    verdict = {"better": "better than", "worse": "worse than"}.get(str(row["better"]), "not told apart from")
    gap = f"{row['difference']:+.3f}{span}, {row['wins']} of {row['of']} sections"
    return f"{row['arm']} is {verdict} {row['reference']}: {gap}."
