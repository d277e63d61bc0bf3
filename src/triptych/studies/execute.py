"""Running the arms of a study: every arm, seed and way to choose K, each a run of its own.

Finished steps lie in the cache, which the arms share: a killed study resumes, and what two arms have in
common is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.progress import track
from triptych.core.protocols import Codes
from triptych.core.slots import Slot
from triptych.pipeline import applying
from triptych.pipeline import run as runner
from triptych.pipeline.chain import Chain
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.record import RunRecord
from triptych.pipeline.study import STUDY, Study
from triptych.runs import How
from triptych.studies.design import Design, with_k
from triptych.studies.failures import Failures

ALL: Final = "(all)"  # the sample of what was scored over the study
ELSEWHERE: Final = "@elsewhere"  # ends the names of metrics of other data
SIMILARITY: Final = "colocalisation-similarity"
LEARNED: Final = frozenset({"predict", "segment"})
RESULTS: Final = frozenset({"cluster", "refine", "predict", "segment"})  # verbs that write what is compared


@dataclass(frozen=True, eq=False)
class Guess:
    """What one run ended with: labels, or predicted cell types.

    Parameters
    ----------
    arm
        Its arm.
    k_from
        How K was chosen.
    seed
        Of the run.
    codes
        Cluster of each observation, shape (n,); None where cell types were predicted.
    types
        These.
    truth
        The cell types that these were learned from.
    """

    arm: str
    k_from: str
    seed: int
    codes: Codes | None = None
    types: Abundance | None = None
    truth: Abundance | None = None


@dataclass(frozen=True, eq=False)
class Executed:
    """What the arms gave.

    Parameters
    ----------
    runs
        The long table of scores with arm, k_from, k and seconds.
    guesses
        The labels of every run.
    study
        The data, to hold the labels against.
    warnings
        What limits the runs, in sentences.
    """

    runs: pd.DataFrame
    guesses: list[Guess]
    study: Study
    warnings: list[str] = field(default_factory=list)


def result_of(recipe: Recipe) -> str:
    """The slot of the labels, predicted cell types or nuclei that a recipe writes last: its result."""
    written = [step.writes for step in recipe.steps if step.do in RESULTS]
    return written[-1] if written else ""


def target_of(steps: Iterable[Any], slot: str) -> str:
    """The slot of the cell types that those of a slot were learned from; of labels, empty.

    Parameters
    ----------
    steps
        Of a recipe, or as they ran.
    slot
        That was predicted.
    """
    found = [step.reads["target"] for step in steps if step.do == "predict" and step.to == slot]
    return found[-1] if found else ""


def space_of(recipe: Recipe) -> str:
    """The space in which the result was clustered."""
    slot = result_of(recipe)
    for step in reversed(recipe.steps):
        if step.writes == slot and step.do == "refine":
            slot = step.labels
        elif step.writes == slot and step.do == "cluster":
            return str(step.x or "")
    return ""


def pruned(recipe: Recipe) -> Recipe:
    """The steps that lead to the result and its scores: the other labels of a recipe are not compared."""
    result, kept = result_of(recipe), []
    wanted = {result}
    for step in reversed(recipe.steps):
        if step.do == "score":
            keep = step.guess in {result, *slots.OF_DATA}
        elif step.do == "analyse":
            keep = step.use == SIMILARITY and result in step.abundances.values()
        else:
            keep = bool({step.writes, step.also} & wanted)
            wanted -= {step.writes, step.also}
        if keep:
            kept.append(step)
            wanted |= set(step.reads.values())
    return recipe.model_copy(update={"steps": tuple(reversed(kept))})


def shallow(table: AnnData) -> AnnData:
    """A table of its own whose matrices are those of another, for a run that adds to it.

    Runs put new slots into a table, and replace old ones; no step writes into an array that it was given.
    """
    return AnnData(
        X=table.X,
        obs=table.obs.copy(),
        var=table.var.copy(),
        uns=deepcopy(dict(table.uns)),
        obsm=dict(table.obsm),
        varm=dict(table.varm),
        layers=dict(table.layers),
        obsp=dict(table.obsp),
        varp=dict(table.varp),
    )


def once(
    recipe: Recipe, table: AnnData, *, seed: int, how: How, data: str = ""
) -> tuple[RunRecord, Chain, AnnData, float]:
    """One run on a copy of the table: its record, its chain, the copy, and the seconds of its work."""
    copy = shallow(table)
    seeded = pruned(recipe).model_copy(update={"seed": seed})
    record, chain = runner.run(
        seeded, copy, data=data, cache=how.cache, executor=how.executor, per_sample=how.per_sample
    )
    worked_s = sum(step.worked_s for step in record.steps if step.do not in {"score", "analyse"})
    return record, chain, copy, worked_s


def with_types(recipe: Recipe, table: AnnData, *, seed: int, how: How) -> AnnData:
    """A copy of a table whose cell types were made as the recipe makes those that it learns from.

    A fitted chain makes none; where it is judged, they are needed.
    """
    copy = shallow(table)
    making = tuple(step for step in pruned(recipe).steps if step.do == "deconvolve")
    if making:
        alone = recipe.model_copy(update={"steps": making, "seed": seed})
        runner.run(alone, copy, cache=how.cache, executor=how.executor)
    return copy


def execute(
    design: Design,
    recipes: Mapping[str, Recipe],
    table: AnnData,
    *,
    how: How,
    failures: Failures | None = None,
    other: AnnData | None = None,
) -> Executed:
    """Run every arm with every seed and way to choose K; the runs that fail are left out.

    Parameters
    ----------
    design
        The study.
    recipes
        Arm → recipe.
    table
        The data, which stay as they are.
    how
        Cache, executor, per sample.
    failures
        Where the runs that fail are noted.
    other
        Data that what each run learned is applied to.

    Raises
    ------
    TriptychError
        Of the first run, when all of them fail.
    """
    frames, guesses, warnings = [], [], []
    todo, failures = list(_runs(design, recipes)), failures or Failures()
    for arm, k_from, seed in track(todo, design.name, len(todo)):
        if arm in failures.absent:
            continue
        recipe = with_k(recipes[arm], k_from)
        with failures.caught(arm, k_from, f"seed {seed}", absent=design.leave_out_missing):
            record, chain, copy, seconds = once(recipe, table, seed=seed, how=how)
            slot = result_of(recipe)
            found = [scores_of(record, recipe)]
            if other is not None:
                seen = with_types(recipe, other, seed=seed, how=how)
                there = scores_of(applying.apply(chain, seen), recipe)
                found.append(there.assign(metric=there["metric"] + ELSEWHERE, seed=seed))
            frames += [one.assign(arm=arm, k_from=k_from, seconds=seconds) for one in found]
            if Slot.parse(slot).container != "nuclei":
                one = Guess(arm, k_from, seed)
                guesses.append(_with_result(one, Study(copy), slot, target_of(recipe.steps, slot)))
            warnings += [warning for warning in record.warnings if warning not in warnings]
    if not frames:
        failures.raise_first()
    runs = pd.concat(frames, ignore_index=True)
    return Executed(runs, guesses, Study(table), [*failures.notes(), *warnings])


def _with_result(guess: Guess, study: Study, slot: str, target: str) -> Guess:
    """What a run ended with."""
    if target:
        return replace(guess, types=study.abundance(slot, STUDY), truth=study.abundance(target, STUDY))
    return replace(guess, codes=study.codes(slot, STUDY)[0].astype(np.int16))


def ways(design: Design, recipe: Recipe) -> tuple[str, ...]:
    """The ways to choose K that a recipe is run with; one that takes its own K, or none, is run once."""
    if not any(step.do == "cluster" for step in recipe.steps):
        return ("",)
    takes = any(step.do == "cluster" and step.k_from == "truth" for step in recipe.steps)
    return design.k_from if takes else ("recipe",)


def _runs(design: Design, recipes: Mapping[str, Recipe]) -> Iterator[tuple[str, str, int]]:
    """Arm, way to choose K, seed; a recipe that takes its own K runs once."""
    for arm, recipe in recipes.items():
        for k_from in ways(design, recipe):
            searched = k_from in {"bic", "stability"} and design.k_seeds
            for seed in design.seeds[: design.k_seeds] if searched else design.seeds:
                yield arm, k_from, seed


def scores_of(record: RunRecord, recipe: Recipe) -> pd.DataFrame:
    """Scores of a run's result and of what came with the data, and controls; ``k`` counts its clusters.

    A score against what the result was learned from bears the plain name of its metric.
    """
    scores, slot = record.scores, result_of(recipe)
    mine = scores["slot"].isin([slot, *slots.OF_DATA]) | scores["slot"].astype(str).str.startswith("control:")
    counted = scores[(scores["metric"] == "clusters") & (scores["slot"] == slot)].set_index("sample")["value"]
    kept = scores[mine & (scores["metric"] != "clusters")]
    target = target_of(recipe.steps, slot)
    if target:
        kept = kept.assign(metric=kept["metric"].astype(str).str.removesuffix(f":{Slot.parse(target).key}"))
    kept = pd.concat(
        [kept, *_similarities(record, recipe, kept), *_taken(record, slot, kept)], ignore_index=True
    )
    return kept.assign(k=kept["sample"].map(counted.groupby(level=0).max()))


def _taken(record: RunRecord, slot: str, scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The seconds that learning and predicting cell types, or nuclei, took, as a score over the study."""
    took = [step.worked_s for step in record.steps if step.do in LEARNED and step.to == slot]
    if took and took[-1] > 0 and not scores.empty:  # applying learns nothing
        own = scores.iloc[:1].assign(metric="seconds", sample=ALL, donor="", value=took[-1])
        yield own.assign(low=np.nan, high=np.nan, slot=slot)


def _similarities(record: RunRecord, recipe: Recipe, scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """How alike the maps of colocalisation of the truth and the result are, as scores of their sections."""
    slot = result_of(recipe)
    for step in recipe.steps:
        if step.do != "analyse" or step.use != SIMILARITY or step.to not in record.tables or scores.empty:
            continue
        table, first = record.tables[step.to], scores.drop_duplicates("sample").set_index("sample")
        mine = [role for role, read in step.abundances.items() if read == slot]
        known = table[table["sample"].isin(first.index) & table["guess"].isin(mine)]
        own = first.loc[list(known["sample"].astype(str))].reset_index()
        for column in ("cosine", "correlation"):
            yield own.assign(
                metric=f"colocalisation-{column}", value=known[column].to_numpy(), low=np.nan, high=np.nan
            )
