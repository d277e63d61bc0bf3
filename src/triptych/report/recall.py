"""Which known types the clusters find: a table, and the share of each type in each cluster."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from triptych.core.protocols import Codes, Indices, Matrix
from triptych.core.slots import Slot
from triptych.maths.matching import by_majority, one_to_one, shared
from triptych.plots.heat import shares
from triptych.report.canvas import Canvas
from triptych.report.facts import Facts, categories
from triptych.report.markup import Html, table
from triptych.report.wording import figure

COLUMNS: Final = {"group", "n", "recall", "recall_hungarian", "precision", "clusters", "cluster"}
WIDEST: Final = 60  # types, and clusters, of a picture
NOTE: Final = (
    "By majority, a cluster is called after the known type that most of it belongs to, and a type may have "
    "several; one to one (Hungarian method), each type has one cluster at most. A dash marks a type that no "
    "cluster is called after."
)


def recall_table(frame: pd.DataFrame) -> Html:
    """A line for each known type."""
    lines = [
        [
            str(row["group"]), figure(int(row["n"])), f"{row['recall']:.0%}", f"{row['precision']:.0%}",
            str(row["clusters"]), f"{row['recall_hungarian']:.0%}", str(row["cluster"]),
        ]
        for _, row in frame.iterrows()
    ]  # fmt: skip
    head = [
        "Known type", "Observations", "Recall by majority", "Precision", "Clusters", "Recall one to one",
        "Cluster",
    ]  # fmt: skip
    missed = int((frame["recall"] == 0).sum())
    found = f"{len(frame) - missed} of {len(frame)} known types have a cluster called after them"
    return table(found, head, lines)


def recall_chart(canvas: Canvas, facts: Facts, *, stem: str, slot: str, sample: str) -> Html:
    """Share of each known type in each cluster; empty where the table of the run lacks the labels.

    Parameters
    ----------
    canvas
        Draws it.
    facts
        Of the run.
    stem
        Of the file.
    slot
        Where the clusters lie; empty where it is not known.
    sample
        The section; empty for all.
    """
    if facts.truth is None or not slot or Slot.parse(slot).key not in facts.table.obs:
        return Html("")
    guess = categories(facts.table, slot)
    here = facts.rows(facts.samples.names.index(sample)) if sample else np.ones(len(guess.codes), bool)
    values, types, clusters = _in_order(facts.truth.codes[here], guess.codes[here])
    if not values.size:
        return Html("")
    rows, columns = [guess.names[code] for code in clusters], [facts.truth.names[code] for code in types]

    def draw(ax: Axes, ink: str) -> None:
        shares(ax, values, rows=rows, columns=columns, label="share of the cluster", ink=ink)

    size = (2.6 + 0.2 * len(columns), 1.9 + 0.22 * len(rows))
    alt = f"Heat map of the share of {len(columns)} known types in {len(rows)} clusters of {slot}"
    return canvas.chart(f"recall-{stem}", draw, size, alt)


def _in_order(truth: Codes, guess: Codes) -> tuple[Matrix, Indices, Indices]:
    """Shares (clusters, types), types by falling number, clusters as their types: the matched one first."""
    table = shared(truth, guess)
    size, held = np.asarray(table.sum(axis=1)).ravel(), np.asarray(table.sum(axis=0)).ravel()
    types = np.argsort(-size, kind="stable")[: np.count_nonzero(size)]
    place = np.full(len(size) + 1, len(size))
    place[types] = np.arange(len(types))
    matched, voted = one_to_one(table), by_majority(table)
    nearest = np.where(matched >= 0, matched, voted)
    clusters = np.lexsort((-held, matched < 0, place[nearest]))
    clusters = clusters[held[clusters] > 0][:WIDEST]
    types = types[:WIDEST]
    counts = table[types][:, clusters].toarray().T
    return counts / held[clusters][:, None], types, clusters
