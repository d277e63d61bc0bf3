"""A fitted chain on sections that it has never seen: nothing is learned from them."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core import slots
from triptych.core.checks import listing
from triptych.core.errors import DataError, TriptychWarning
from triptych.core.nuclei import Overlaps
from triptych.core.progress import track
from triptych.core.protocols import Array
from triptych.core.randomness import generator
from triptych.pipeline import identity, predicting, scoring, segmenting
from triptych.pipeline.chain import Chain, Link
from triptych.pipeline.newness import DISTANCE, KNOWN_DONOR, OF_FIT, distances, relations
from triptych.pipeline.outlined import has_known
from triptych.pipeline.plan import nothing_to_judge
from triptych.pipeline.provenance import peak_mib, remember, versions
from triptych.pipeline.record import RunRecord, StepRecord
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.scored import K_WORDS, score_rows, together
from triptych.pipeline.steps import Step
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.wiring import reads_of
from triptych.pipeline.work import Task, gather, gathered, make, notes_of, perform

LEAST_SHARED = 0.5  # share of the fit's genes that a matrix of counts must hold


def apply(chain: Chain, table: AnnData, *, data: str = "", command: str = "") -> RunRecord:
    """Embed and label the sections of a table with what a run has learned.

    Parameters
    ----------
    chain
        A fitted recipe.
    table
        A study, as a reader returns it; results are written into it.
    data
        What the user called it, for the record.
    command
        What the user wrote, for the record.

    Returns
    -------
    The record; ``tables["distance"]`` says how far each section lies from those of the fit.

    Raises
    ------
    DataError
        When the chain applies to no other section, or the table lacks what it reads.
    """
    if chain.obstacle:
        raise DataError(f"The recipe {chain.recipe.name} was not fitted for other sections: {chain.obstacle}")
    start, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    study = Study(table)
    data_identity = study.identity
    for link in chain.links:
        _require(link, study, {slot for x in chain.links for slot in (x.step.writes, x.step.also)})
    steps = [_linked(chain, link, study) for link in track(chain.links, "apply", len(chain.links))]
    scored, tables = _judged(chain, study, steps)
    record = RunRecord(
        recipe=chain.recipe.name, title=f"{chain.recipe.title or chain.recipe.name}, applied",
        cite=chain.recipe.cite, seed=chain.recipe.seed, data=data, options="", command=command,
        data_identity=data_identity, steps=steps, scores=scored,
        warnings=_limits(chain, study, steps), versions=versions(), started=started,
        seconds=time.perf_counter() - start, peak_mib=peak_mib(),
        tables={DISTANCE: distances(chain, study), **tables},
    )  # fmt: skip
    remember(table, record)
    return record


def _require(link: Link, study: Study, written: set[str]) -> None:
    if link.step.do == "segment":  # what the fit learned from labels is applied without them
        study.require(slots.IMAGE)
        return
    for slot in reads_of(link.step, link.component).values():
        learned = slot in {slots.TRUTH, getattr(link.step, "target", ""), slots.DONOR}
        if slot not in written and not learned:  # what a fit learned from labels is applied without
            study.require(slot)


def _linked(chain: Chain, link: Link, study: Study) -> StepRecord:
    """One step: the model applied to all sections, or a component that learns nothing, section by section."""
    start, step = time.perf_counter(), link.step
    reads = reads_of(step, link.component)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TriptychWarning)
        inputs = {}
        if step.do == "segment":
            values: dict[str, Any] = {STUDY: _segmented(chain, link, study)}
        elif step.do == "predict":
            given = predicting.new(study, step, link.component, reads)
            values = {STUDY: predicting.applied(link.model, given)}
        elif link.model is not None:
            inputs = gather(study, step, link.component, reads, STUDY)
            if getattr(link.component, "takes", "") == "counts" and step.do == "align":
                inputs["x"] = _in_order(inputs["x"], study, chain.genes)
            values = {STUDY: link.model.apply(*inputs.values())}
        else:
            values = {name: _plain(chain, link, study, reads, name) for name in study.samples}
    study.write(step.writes, values)
    if step.also:
        study.write(step.also, {STUDY: link.model.embed(inputs["x"])})
    state = "applied" if link.model is not None else "made"
    return StepRecord(
        index=link.index, do=step.do, use=link.use, to=step.writes, reads=reads,
        params=asdict(link.component), over=STUDY if link.model is not None else "sample",
        keys={}, state=dict.fromkeys(values, state), seconds=time.perf_counter() - start,
        notes=list(notes_of(caught)), cite=link.component.cite,
        gives=str(getattr(link.component, "gives", "")),
    )  # fmt: skip


def _segmented(chain: Chain, link: Link, study: Study) -> Overlaps:
    """What a model finds in the sections of which nuclei are known."""
    known = [name for name in study.samples if has_known(study, name)]
    sections = [segmenting.judged_section(study, link.step, name) for name in known]
    return segmenting.judged(link.model, sections, frozenset(chain.trained.organs.values()))


def _plain(chain: Chain, link: Link, study: Study, reads: dict[str, str], name: str) -> Array:
    key = identity.of_json([link.index, link.use, name])
    inputs = gather(study, link.step, link.component, reads, name)
    task = Task(link.step.do, link.component, inputs, chain.recipe.seed, key, name)
    value: Array = perform(task).value
    return value


def _in_order(counts: Array, study: Study, genes: tuple[str, ...]) -> sp.csr_matrix:
    """The columns of the fit, in its order; a gene that was not measured counts 0.

    Raises
    ------
    DataError
        When too few of them were measured.
    """
    where = study.table.var_names.get_indexer(pd.Index(genes))
    held = np.flatnonzero(where >= 0)
    if len(held) < LEAST_SHARED * len(genes):
        raise DataError(
            f"Only {len(held)} of the model's {len(genes)} genes are in the data.",
            "Check that both name genes alike (symbols or Ensembl ids).",
        )
    if len(held) < len(genes):
        absent = len(genes) - len(held)
        warnings.warn(
            f"{absent} of the model's {len(genes)} genes are taken as 0.", TriptychWarning, stacklevel=2
        )
    put = sp.csr_matrix((np.ones(len(held)), (where[held], held)), shape=(study.table.n_vars, len(genes)))
    return sp.csr_matrix(sp.csr_matrix(counts) @ put)


def _judged(
    chain: Chain, study: Study, steps: list[StepRecord]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Scores and analyses of the recipe, on the new sections."""
    rows, tables = [], {}
    words = ", ".join(sorted(set(relations(chain, study).values())))
    for index, step in enumerate(chain.recipe.steps, start=1):
        if step.do not in {"score", "analyse"}:
            continue
        component = BY_VERB[step.do].make(step.use, step.params)
        reads = reads_of(step, component)
        lacking = [slot for slot in reads.values() if not study.has(slot)]
        if lacking:  # known labels, mostly: a new section needs none
            steps[-1].notes += _left_out(step, lacking)
            continue
        units = study.samples if (step.over or type(step).default_over) == "sample" else (STUDY,)
        values = {}
        for unit in units:
            if nothing_to_judge(step.do, study, reads, unit):
                continue
            key = identity.of_json([index, step.use, unit])
            inputs, notes = gathered(study, step, component, reads, unit)
            made = make(Task(step.do, component, inputs, chain.recipe.seed, key, unit, notes=notes), None)
            values[unit] = made.value
            steps[-1].notes += [note for note in made.notes if note not in steps[-1].notes]
        if not values:
            continue
        if step.do == "analyse":
            tables[step.to] = together(values)
        else:
            k_from = chain.trained.k_from.get(step.guess, "recipe")
            protocol = f"{words}{K_WORDS[k_from] and K_WORDS[k_from] + ' of the fit'}"
            rng = generator(chain.recipe.seed, f"{index:016x}")
            rows += score_rows(step, study, values, seed=chain.recipe.seed, protocol=protocol, rng=rng)
    return scoring.table(rows), tables


def _left_out(step: Step, lacking: list[str]) -> list[str]:
    """Why a score or an analysis has no result; nothing where only the known labels are missing."""
    if set(lacking) <= {slots.TRUTH, slots.ABUNDANCE}:
        return []
    return [f"Left out: {step.do} {step.use}; the data hold no {listing(lacking)}."]


def _limits(chain: Chain, study: Study, steps: list[StepRecord]) -> list[str]:
    """What limits the result, in sentences."""
    found = [note for step in steps for note in step.notes]
    known = relations(chain, study)
    for relation, words in (
        (OF_FIT, "In the fit, so that scores are not held out"),
        (KNOWN_DONOR, "Of a donor of the fit, which is weaker evidence than another donor"),
    ):
        names = [name for name, one in known.items() if one == relation]
        if names:
            found.append(f"{words}: {listing(names)}.")
    donors = set(chain.trained.donors.values())
    if len(donors) < 2 and any(link.step.do == "predict" for link in chain.links):
        found.append(
            f"The fit knows one donor ({listing(donors)}): its intervals were measured inside it, and on "
            "another donor they hold less often than they say."
        )
    if any(k == "truth" for k in chain.trained.k_from.values()):
        found.append("The number of clusters was taken from the known labels of the fit's sections.")
    got = "label" if any(link.step.do == "cluster" for link in chain.links) else "answer"
    found.append(
        f"A tissue that the fit has not seen gets the nearest {got} all the same: look at the distances "
        "first."
    )
    return list(dict.fromkeys(found))
