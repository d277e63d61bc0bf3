"""Nested validation: donors held out in turn, everything that is chosen chosen on the others.

The tuning sections are read by themselves, so that neither counts nor labels nor the list of genes of a
held-out section can reach a choice or a fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core.errors import DataError
from triptych.core.progress import track
from triptych.pipeline import applying
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.study import Study
from triptych.runs import How
from triptych.studies.composite import composite
from triptych.studies.design import Design, Nested, candidates, with_k
from triptych.studies.execute import once, result_of, scores_of, space_of, ways, with_types
from triptych.studies.failures import Failures
from triptych.studies.summary import greater_is_better

Source = Callable[[tuple[str, ...]], AnnData]  # names of samples → their table
FOLDS = ("fold", "test", "arm", "k_from", "chosen", "tuning_score", "candidates", "value")


@dataclass(frozen=True)
class Fold:
    """Donors held out, and the samples on both sides.

    Parameters
    ----------
    name
        The donors held out.
    tuning
        Samples of the others.
    test
        Donor → its samples.
    """

    name: str
    tuning: tuple[str, ...]
    test: dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen on the tuning sections.

    Parameters
    ----------
    settings
        The changes of the best candidate.
    recipe
        With these changes.
    score
        Its composite score, the mean over the tuning seeds.
    of
        Number of candidates.
    """

    settings: dict[str, Any]
    recipe: Recipe
    score: float
    of: int


def folds_of(donors: Mapping[str, str], held_out: int) -> Iterator[Fold]:
    """Every choice of ``held_out`` donors.

    Parameters
    ----------
    donors
        Sample → donor.
    held_out
        How many donors a fold holds out.

    Raises
    ------
    DataError
        When no donor is left to choose on.
    """
    names = list(dict.fromkeys(donors.values()))
    if held_out >= len(names):
        raise DataError(
            f"{held_out} of {len(names)} donors cannot be held out: none is left to choose on.",
            "Bring more donors, or hold out fewer.",
        )
    for held in combinations(names, held_out):
        tuning = tuple(name for name, donor in donors.items() if donor not in held)
        test = {one: tuple(name for name, donor in donors.items() if donor == one) for one in held}
        yield Fold("+".join(held), tuning, test)


def validate(
    design: Design, nested: Nested, recipes: Mapping[str, Recipe], source: Source, donors: Mapping[str, str],
    *, how: How, failures: Failures | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Choose on all donors but those held out, then judge on these; the arms that fail are left out.

    Parameters
    ----------
    design
        The study.
    nested
        How donors are split and what is chosen.
    recipes
        Arm → recipe.
    source
        Reads the samples asked for, and no others.
    donors
        Sample → donor.
    how
        Cache, executor.
    failures
        Where the arms that fail in a fold are noted; None: the first that fails ends the study.

    Returns
    -------
    The long table of scores on held-out donors, arms named after how they were judged; and one row per
    fold, arm and way to choose K with what was chosen.

    Raises
    ------
    DataError
        When the tuning sections of a fold have no known labels.
    TriptychError
        Of the first arm that fails, when all of them do or failures are not noted.
    """
    frames: list[pd.DataFrame] = []
    rows: list[dict[str, Any]] = []
    noted = failures or Failures()
    units = donors if design.judged_by(nested) == "donor" else {name: name for name in donors}
    folds = list(folds_of(units, nested.held_out))
    todo = [(f, a, k) for f in folds for a, recipe in recipes.items() for k in ways(design, recipe)]
    tables = {fold.name: source(fold.tuning) for fold in folds}
    for fold, arm, k_from in track(todo, design.name, len(todo)):
        recipe, table = with_k(recipes[arm], k_from), tables[fold.name]
        with noted.caught(arm, k_from, f"fold {fold.name}"):
            chosen = choose(recipe, table, design, nested, how=how)
            found = [
                scores.assign(arm=f"{arm} ({kind})", k_from=k_from, fold=fold.name)
                for seed in design.seeds
                for kind, scores in judged(
                    chosen.recipe, table, fold, nested, seed=seed, source=source, how=how
                )
            ]
            frames += found
            rows.append({
                "fold": fold.name, "test": ", ".join(s for names in fold.test.values() for s in names),
                "arm": arm, "k_from": k_from, "chosen": json.dumps(chosen.settings), "candidates": chosen.of,
                "tuning_score": chosen.score, "value": _mean(pd.concat(found), design.metric),
            })  # fmt: skip
        if failures is None:
            noted.raise_first()
    if not frames:
        noted.raise_first()
    return pd.concat(frames, ignore_index=True), pd.DataFrame(rows, columns=list(FOLDS))


def choose(recipe: Recipe, table: AnnData, design: Design, nested: Nested, *, how: How) -> Chosen:
    """The candidate of the best score on the tuning sections; of equal ones the first.

    The score of labels is the composite, that of predicted cell types the study's metric on the tuning
    sections that the recipe holds out in turn.
    """
    best: Chosen | None = None
    tried = list(candidates(recipe, nested.grid))
    for settings, one in tried:
        scores = []
        for seed in design.seeds[: nested.tuning_seeds]:
            record, _, copy, _ = once(one, table, seed=seed, how=how)
            labels, space = result_of(one), space_of(one)
            if labels.startswith("obsm:"):
                sign = 1 if greater_is_better(design.metric) else -1
                scores.append(sign * _mean(scores_of(record, one).assign(arm=""), design.metric))
            else:
                scores.append(composite(Study(copy), nested.composite, labels=labels, space=space)["score"])
        score = float(np.mean(scores))
        if np.isnan(score):
            raise DataError(
                "The sections to choose on have no known labels (or cell types).",
                "Name the column of the labels with --truth.",
            )
        if best is None or score > best.score:
            best = Chosen(settings, one, score, len(tried))
    if best is None:
        raise DataError("There is no candidate to choose from.", "Give the grid values.")
    return best


def judged(
    recipe: Recipe, table: AnnData, fold: Fold, nested: Nested, *, seed: int, source: Source, how: How
) -> Iterator[tuple[str, pd.DataFrame]]:
    """How the donors held out were judged, and their scores."""
    if "apply" in nested.test:
        _, chain, _, seconds = once(recipe, table, seed=seed, how=how)
        for names in fold.test.values():
            record = applying.apply(chain, with_types(recipe, source(names), seed=seed, how=how))
            yield "applied", scores_of(record, recipe).assign(seconds=seconds)
    groups = list(fold.test.values()) if "alone" in nested.test else []
    groups += [tuple(s for names in fold.test.values() for s in names)] if "together" in nested.test else []
    for position, names in enumerate(groups):
        record, _, _, seconds = once(recipe, source(names), seed=seed, how=how)
        kind = "alone" if "alone" in nested.test and position < len(fold.test) else "together"
        scores = scores_of(record, recipe).assign(seconds=seconds)
        words = "hyper-parameters of other donors, " + scores["protocol"].astype(str)
        yield kind, scores.assign(protocol=words)


def _mean(scores: pd.DataFrame, metric: str) -> float:
    """Mean of the first kind of judgement over the held-out sections and seeds."""
    mine = scores[(scores["metric"] == metric) & ~scores["slot"].astype(str).str.startswith("control:")]
    mine = mine[(mine["arm"] == mine["arm"].iloc[0]) & (mine["sample"] != "(mean)")] if len(mine) else mine
    return float(mine["value"].mean()) if len(mine) else float("nan")
