"""What a run leaves behind beside its table: the record that the report and the provenance are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    chosen
        Unit → settings that the component chose from the data, name → number.
    notes
        What the user should know, in sentences.
    cite
        Source of the component.
    protocol
        How what it wrote or scored was fitted, in words.
    gives
        What its numbers are, in words, where a component says so.
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
    chosen: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cite: str = ""
    protocol: str = ""
    gives: str = ""


@dataclass
class Shown:
    """What models show of what they learned.

    Parameters
    ----------
    pictures
        Slot → name of a channel → pairs of input and reconstruction, grey, shape (k, 2, h, w).
    losses
        Slot → term of the loss → its value by epoch.
    """

    pictures: dict[str, dict[str, NDArray[np.uint8]]] = field(default_factory=dict)
    losses: dict[str, dict[str, NDArray[np.floating[Any]]]] = field(default_factory=dict)

    def see(self, slot: str, model: Any) -> None:
        """Take what a model shows of the slot that it wrote."""
        if getattr(model, "pictures", None):
            self.pictures[slot] = dict(model.pictures)
            self.losses[slot] = dict(model.losses)


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
    pictures, losses
        As in `Shown`.
    stores
        What tiles were made of → the folder of the store of labelled tiles.
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
    pictures: dict[str, dict[str, NDArray[np.uint8]]] = field(default_factory=dict)
    losses: dict[str, dict[str, NDArray[np.floating[Any]]]] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
