"""What a comparison found, as the page needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from triptych.core.checks import Faults

COLUMNS: Final = {
    "runs": ("arm", "metric", "slot", "sample", "donor", "seed", "value", "k_from", "seconds"),
    "summary": (
        "arm", "k_from", "metric", "value", "low", "high", "sd_seeds", "samples", "donors", "seeds",
        "greater_is_better", "protocol",
    ),
    "pairs": (
        "arm", "reference", "k_from", "metric", "difference", "low", "high", "wins", "of", "better",
    ),
    "folds": ("fold", "test", "chosen", "tuning_score", "value"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layout:
    """How arms stand in a table: one factor across, the others down, for each of some metrics.

    Parameters
    ----------
    name
        A short one, as it becomes part of a file's.
    title
        Of the table.
    columns
        The factor whose levels stand side by side.
    rows
        The factors whose levels name the rows.
    metrics
        Names of the metrics, in this order.
    arms
        One row for each arm of the table, indexed by its name; columns are factors, values their levels.
    note
        What a reader must know of it; may be empty.
    """

    name: str
    title: str
    columns: str
    rows: tuple[str, ...]
    metrics: tuple[str, ...]
    arms: pd.DataFrame
    note: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Arms of a study, what each was worth, and which differ.

    An empty frame needs no columns. Bounds that are NaN are shown as a dash.

    Parameters
    ----------
    title
        Of the page.
    question
        One paragraph; may be empty.
    data
        What was read.
    command
        The command that repeats it.
    arms
        One row for each arm, indexed by its name; columns are factors, values their levels; maybe none.
    runs
        One row for each arm, metric, slot, sample, fold and seed: ``arm``, ``metric``, ``slot``, ``sample``,
        ``donor``, ``fold``, ``seed``, ``value``, ``low``, ``high``, ``n``, ``protocol``, ``k_from``, ``k``,
        ``seconds``.
    summary
        One row for each arm, ``k_from`` and metric: ``value``, ``low``, ``high``, ``sd_seeds``, how many
        ``samples``, ``donors`` and ``seeds``, ``greater_is_better`` and ``protocol``. Its first metric is the
        one that the study is about.
    pairs
        One row for each arm and reference: ``k_from``, ``metric``, ``difference``, ``low``, ``high``,
        ``wins`` of ``of``, and ``better``: ``better``, ``worse`` or ``not told apart``.
    notes
        Limits, in sentences.
    conclusions
        What was found, in plain sentences.
    folds
        For nested protocols ``fold``, ``test``, ``chosen`` (JSON), ``tuning_score`` and ``value``.
    layouts
        Tables that arms are shown in, the main ones of the page; maybe none.

    Raises
    ------
    DataError
        When a frame that has rows lacks columns; all that are missing together.
    """

    title: str
    question: str
    data: str
    command: str
    arms: pd.DataFrame
    runs: pd.DataFrame
    summary: pd.DataFrame
    pairs: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)
    folds: pd.DataFrame = field(default_factory=pd.DataFrame)
    layouts: list[Layout] = field(default_factory=list)

    def __post_init__(self) -> None:
        faults = Faults("comparison")
        for name, wanted in COLUMNS.items():
            frame = getattr(self, name)
            missing = [column for column in wanted if len(frame) and column not in frame.columns]
            faults.check(not missing, f"{name} has no column {', '.join(missing)}.")
        faults.raise_if_any()

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the one that the study is about first."""
        return list(dict.fromkeys(self.summary["metric"].astype(str))) if len(self.summary) else []

    def of(self, metric: str) -> pd.DataFrame:
        """Rows of the summary on one metric."""
        return self.summary[self.summary["metric"].astype(str) == metric]

    def greater(self, metric: str) -> bool:
        """Whether more of it is better."""
        return bool(self.of(metric)["greater_is_better"].iloc[0])
