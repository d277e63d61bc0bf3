"""How many clusters there are, and where that number came from."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from triptych.core.slots import Slot
from triptych.pipeline.record import RunRecord
from triptych.plots.scores import order
from triptych.report.facts import Facts, clustered_apart
from triptych.report.markup import Html, table, tag
from triptych.report.wording import ALL, CLUSTERS, DASH

SOURCES: Final = {
    "oracle K": "known labels (oracle K)",
    "K by information criterion": "information criterion",
    "K by stability": "stability",
}
OF_FIT: Final = " of the fit"


def parts(protocol: object) -> list[str]:
    """The parts of a protocol, one for each thing that it says."""
    return [part for part in protocol.split(", ") if part] if isinstance(protocol, str) else []


def says_k(part: str) -> bool:
    """Whether a part of a protocol says where the number of clusters came from."""
    return part.removesuffix(OF_FIT) in SOURCES


def source(protocol: object) -> str:
    """Where the number of clusters came from."""
    for part in parts(protocol):
        if says_k(part):
            words = SOURCES[part.removesuffix(OF_FIT)]
            return f"{words}, in the fit" if part.endswith(OF_FIT) else words
    return "recipe"


def numbers(facts: Facts, record: RunRecord) -> dict[str, str]:
    """Slot → its number of clusters; the least and the most where sections were clustered one by one."""
    found = {}
    for slot, rows in _rows(record).groupby("slot", sort=False):
        apart = clustered_apart(str(slot), record.steps)
        counts = rows["value"].astype(int)
        least, most = counts.min(), _whole(facts, str(slot)) or counts.max()
        if apart:
            most = counts[rows["sample"] != ALL].max() if (rows["sample"] != ALL).any() else counts.max()
        found[str(slot)] = f"{least}{DASH}{most}" if apart and least < most else str(most)
    return found


def cluster_section(facts: Facts, record: RunRecord) -> Html:
    """One table: slots down, sections across; empty when nothing of labels was scored."""
    rows = _rows(record)
    if not len(rows):
        return Html("")
    columns = [name for name in order(rows["sample"]) if name != ALL]
    held = {(str(row.slot), str(row.sample)): str(int(row.value)) for row in rows.itertuples()}  # type: ignore[arg-type]
    lines = [_known(facts, columns)] if facts.truth else []
    for slot, some in rows.groupby("slot", sort=False):
        apart = clustered_apart(str(slot), record.steps)
        whole = DASH if apart else str(_whole(facts, str(slot)) or held.get((str(slot), ALL), DASH))
        shown = (held.get((str(slot), name), DASH) for name in columns)
        lines.append([str(slot).removeprefix("obs:"), source(some["protocol"].iloc[0]), *shown, whole])
    head = ["Labels", "Number from", *columns, "All sections"]
    counted = table("Clusters that occur in each section, and in all together", head, lines)
    return tag("article", tag("h3", "Number of clusters"), counted, class_="score wide clusters")


def _rows(record: RunRecord) -> pd.DataFrame:
    scores = record.scores
    return scores[(scores["metric"].astype(str) == CLUSTERS) & scores["value"].notna()]


def _known(facts: Facts, columns: list[str]) -> list[str]:
    """The first row: how many known labels occur."""
    if facts.truth is None:
        return []
    shown = []
    for name in columns:
        there = name in facts.samples.names
        codes = facts.truth.codes[facts.rows(facts.samples.names.index(name))] if there else np.array([-1])
        shown.append(str(len(np.unique(codes[codes >= 0]))) if there else DASH)
    return ["known labels", DASH, *shown, str(len(facts.truth.names))]


def _whole(facts: Facts, slot: str) -> int:
    """How many labels occur in the whole study; 0 when the table does not hold them."""
    key = Slot.parse(slot).key
    return int(facts.table.obs[key].nunique()) if key in facts.table.obs else 0
