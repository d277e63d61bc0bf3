"""What clustering several views at once added to the first of them alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from triptych.report.overlaps import MULTIPLEX
from triptych.report.wording import number

ALONE = "leiden."  # begins the name of the labels of a view alone, where there are several kinds


def gains(values: pd.DataFrame, counts: dict[str, str]) -> list[str]:
    """A sentence for each multiplexed labelling whose first view was clustered alone.

    Parameters
    ----------
    values
        Columns metric, slot, value, as in the table of labellings.
    counts
        Slot → its number of clusters.
    """
    slots = list(dict.fromkeys(values["slot"]))
    sentences = []
    for slot in slots:
        alone, view, other = _alone(slot, slots)
        if alone:
            changes = [
                text
                for metric in ("homogeneity", "completeness", "ami")
                if (text := _change(metric, _one(values, metric, alone), _one(values, metric, slot)))
            ]
            many = _number(counts.get(slot, "?"), counts.get(alone, "?"))
            if changes:
                sentences.append(f"Multiplexing {view} with {other} {_listed(changes)}, with {many}.")
    return sentences


def _alone(slot: str, slots: list[str]) -> tuple[str, str, str]:
    """The labels of the first view alone, its name, and the other views; empty where there are none."""
    name = slot.removeprefix("obs:")
    if not name.startswith(MULTIPLEX):
        return "", "", ""
    rest = name.removeprefix(MULTIPLEX)
    found = []
    for other in slots:
        view = other.removeprefix("obs:").partition(".")[2]
        if view and rest.startswith(f"{view}.") and not other.removeprefix("obs:").startswith(MULTIPLEX):
            found.append((len(view), other.removeprefix("obs:").startswith(ALONE), other, view))
    if not found:
        return "", "", ""
    _, _, best, view = max(found)
    return best, view, rest[len(view) + 1 :]


def _one(values: pd.DataFrame, metric: str, slot: str) -> float:
    rows = values[(values["metric"] == metric) & (values["slot"] == slot)]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def _change(metric: str, before: float, after: float) -> str:
    """``raised homogeneity from 0.41 to 0.45``; empty where one of the two is not known."""
    if np.isnan(before) or np.isnan(after):
        return ""
    name = "AMI" if metric == "ami" else metric
    if number(before) == number(after):
        return f"left {name} at {number(before)}"
    return f"{'raised' if after > before else 'lowered'} {name} from {number(before)} to {number(after)}"


def _number(after: str, before: str) -> str:
    return f"as many clusters ({after})" if after == before else f"{after} instead of {before} clusters"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
