"""What a run leaves behind beside its table: the record that the report and the provenance are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

SCORE_COLUMNS = (
    "metric", "slot", "sample", "donor", "fold", "seed", "value", "low", "high", "n", "protocol",
)  # fmt: skip


@dataclass
class StepRecord:
    """One step as it was run.

    Parameters
    ----------
    index
        Position in the recipe, from 1.
    do
        Verb.
    use
        Component.
    to
        Slot written; empty for a score.
    reads
        Role → slot.
    params
        Validated parameters.
    over
        ``sample`` or ``study``.
    keys
        Unit (a sample, or ``study``) → identity.
    state
        Unit → ``made``, ``cached`` or ``skipped``.
    seconds
        Wall time over all units.
    worked_s
        Time that making the units took, when they were made: the same whether or not they were cached.
    peak_mib
        Peak resident memory of the process during the step, MiB; what earlier steps hold is in it.
    notes
        What the user should know, in sentences.
    cite
        Source of the component.
    """

    index: int
    do: str
    use: str
    to: str
    reads: dict[str, str]
    params: dict[str, Any]
    over: str
    keys: dict[str, str]
    state: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    worked_s: float = 0.0
    peak_mib: float = 0.0
    notes: list[str] = field(default_factory=list)
    cite: str = ""


@dataclass
class RunRecord:
    """A whole run.

    Parameters
    ----------
    recipe
        Name of the recipe.
    title
        One line on what it does.
    cite
        Where it comes from.
    seed
        The recipe's seed.
    data
        What was read, as the user wrote it.
    options
        What else the user wrote on the command line, e.g. ``--samples B1,C1``.
    data_identity
        Digest of everything that was read.
    steps
        In order.
    scores
        The long table with `SCORE_COLUMNS`.
    warnings
        What limits the result: oracle K, transductive, missing labels, skipped steps.
    versions
        Package → version.
    started
        UTC, ISO 8601.
    seconds
        Wall time.
    peak_mib
        Peak resident memory of the process, MiB.
    command
        What repeats it, where that is not ``triptych run``.
    tables
        Name → what an analysis found, one row per result.
    """

    recipe: str
    title: str
    cite: str
    seed: int
    data: str
    options: str
    data_identity: str
    steps: list[StepRecord]
    scores: pd.DataFrame
    warnings: list[str]
    versions: dict[str, str]
    started: str
    seconds: float
    peak_mib: float
    command: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
