"""Plans: what would run, on what, and what is already in the cache; known before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from triptych.aligners.none import Unaligned
from triptych.core import extras, slots
from triptych.core.checks import listing
from triptych.core.errors import DataError, RecipeError
from triptych.pipeline import identity, segmenting
from triptych.pipeline.cache import Cache
from triptych.pipeline.folding import WEAKER, WORDS, folds_of
from triptych.pipeline.outlined import has_known
from triptych.pipeline.planned import TRANSDUCTIVE, Ledger, PlannedStep, Unit
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.study import STUDY, Study
from triptych.pipeline.wiring import check, over_of, reads_of
from triptych.stains import registry as stains

JUDGING = frozenset({"score", "analyse"})
PATHS = frozenset(  # say where a file lies
    {"weights", "model", "markers", "network", "dictionaries", "orthologues"}
)


def plan(
    recipe: Recipe, study: Study, cache: Cache | None = None, *, per_sample: bool = False
) -> list[PlannedStep]:
    """Bind a recipe to data.

    Parameters
    ----------
    recipe
        Its components are known to be valid.
    study
        The data.
    cache
        Where finished steps lie; None: nothing is cached.
    per_sample
        Treat each sample as a study of its own.

    Raises
    ------
    RecipeError
        When a slot is read that nothing writes, or k is asked of a component that has none.
    MissingExtraError
        When a package is missing that a component needs.
    MissingSlotError
        When the data lack what a step reads.
    DataError
        When k exceeds the number of observations.
    """
    check(recipe, study.has)
    extras.check(_components(recipe))
    ledger, planned = Ledger(study), []
    for index, step in enumerate(recipe.steps, start=1):
        component = BY_VERB[step.do].make(step.use, step.params)
        reads = reads_of(step, component)
        for slot in reads.values():
            if slot not in ledger.written and not (step.do in JUDGING and slot == slots.TRUTH):
                study.require(slot)
        over = over_of(step, component, per_sample=per_sample)
        names = study.samples if over == "sample" else (STUDY,)
        if step.do == "predict":
            names = _folds(study, step, per_sample=per_sample)
        if step.do == "segment":
            names = (*segmenting.folds_of(study, step.held_out), STUDY)
        made = [_unit(ledger, recipe, step, component, name) for name in names]
        notes = tuple(dict.fromkeys(note for _, found in made for note in found))
        k_from = _k_from(ledger, step, reads, names)
        wanted = bool(step.also) or any(
            step.writes in getattr(other, "learns_from", {}).values() for other in recipe.steps
        )
        protocol, found = _protocol(ledger, step, reads)
        units = tuple(unit for unit, _ in made)
        one = PlannedStep(index, step, reads, over, units, (*notes, *found), k_from, wanted, protocol)
        one = replace(one, units=tuple(_looked_up(unit, cache, model=one.fits(unit.name)) for unit in units))
        planned.append(one)
        _check_sources(one, planned)
        ledger.note(one)
    return planned


def _folds(study: Study, step: Any, *, per_sample: bool) -> tuple[str, ...]:
    """What a predict step holds out in turn, and the study, on which the model that is kept is fitted.

    Raises
    ------
    RecipeError
        When each section is to be a study of its own.
    """
    if per_sample:
        raise RecipeError(
            "predict learns from some sections for others: it cannot treat each as a study of its own.",
            "Leave --per-sample out, and choose sections with --samples.",
        )
    return (*folds_of(study, step.held_out), STUDY)


def _protocol(ledger: Ledger, step: Any, reads: dict[str, str]) -> tuple[str, list[str]]:
    """How what a step writes or scores was fitted, in words, and what the user should know of it."""
    if step.do == "segment":
        return _held_against(ledger.study, step)
    if step.do != "predict":
        read = reads.get("guess") or reads.get("labels") or ""
        return ledger.said(read) or TRANSDUCTIVE, []
    notes = [WEAKER[step.held_out]] if step.held_out in WEAKER else []
    if ledger.made_together(step.target):
        notes.append(f"{step.target} was estimated on all sections together, those held out among them.")
    views = sorted(slot for role, slot in reads.items() if role.startswith("views."))
    seen = [slot for slot in views if ledger.saw(slot)]
    given = [slot for slot in views if ledger.saw(slot) is None]
    if seen:
        notes.append(
            f"{listing(seen)} was fitted on all sections, those held out among them, though without their "
            "abundance: what is predicted from it is transductive in that view."
        )
    if given:
        notes.append(f"{listing(given)} came with the data: whether it saw what is held out is not known.")
    words = (", view transductive" if seen else "") + (", view as given" if given else "")
    return WORDS[step.held_out] + words, notes


def _held_against(study: Study, step: Any) -> tuple[str, list[str]]:
    """How a segmentation is judged: what was held out, and whether what it is held against is known."""
    known = [name for name in study.samples if has_known(study, name)]
    notes_of_types = []
    if step.types and step.learn_from == "outlines" and step.held_out != "none":
        notes_of_types.append(
            f"{step.types} were told with all sections in view, those held out among them: "
            "transductive in the types, though not in the pictures."
        )
    weaker = [segmenting.WEAKER[step.held_out]] if step.held_out in segmenting.WEAKER else []
    notes = [*weaker, *notes_of_types]
    against = "known nuclei" if len(known) == len(study.samples) else "outlines of the instrument"
    if 0 < len(known) < len(study.samples):
        against = "known nuclei or outlines"
        notes.append(f"Held against known nuclei: {listing(known)}; the others against their outlines.")
    return f"{segmenting.WORDS[step.held_out]}, {against}", notes


def _components(recipe: Recipe) -> Iterator[Any]:
    """Every component that a recipe names, stains included."""
    for step in recipe.steps:
        yield BY_VERB[step.do].make(step.use, step.params)
        if step.do == "encode" and step.stain:
            yield stains.make(step.stain.use, step.stain.params)


def _check_sources(one: PlannedStep, planned: Sequence[PlannedStep]) -> None:
    """Refuse what was learned from other observations, and encoders or settings that nobody learned.

    Raises
    ------
    RecipeError
        Saying which step wrote it.
    """
    for role, slot in getattr(one.step, "learns_from", {}).items():
        source = next(step for step in reversed(planned) if step.step.writes == slot)
        component = source.units[0].component
        learned = "encoder was fitted" if role == "encoder" else "settings were chosen"
        if source.over != one.over:
            raise RecipeError(
                f"Step {one.index} is over {one.over}, its {learned} over {source.over}.",
                "Say the same over: in both.",
            )
        if role == "encoder" and not getattr(component, "encodes", False):
            raise RecipeError(
                f"{source.step.use} learns no encoder.", "Name a slot that autoencoder or sdae wrote."
            )
        if role != "encoder" and not hasattr(component, "neighbours"):
            raise RecipeError(
                f"{source.step.use} has no neighbours and no resolution to inherit.",
                "Name labels that leiden wrote.",
            )


def _k_from(ledger: Ledger, step: Any, reads: dict[str, str], units: Sequence[str]) -> str:
    """Where k comes from: decided by this step, or passed on by the labels or the space that it reads."""
    if step.do != "cluster":
        read = reads.get("guess") or reads.get("labels") or ""
        return ledger.k_from.get(read, "recipe")
    known = any(_labelled(ledger.study, slots.TRUTH, unit) for unit in units)
    return "recipe" if step.k_from == "truth" and not known else str(step.k_from)


def _unit(ledger: Ledger, recipe: Recipe, step: Any, component: Any, name: str) -> tuple[Unit, list[str]]:
    """One unit, and the notes on it."""
    study, notes, state = ledger.study, [], "run"
    reads = reads_of(step, component)
    if step.do == "align" and len(study.codes(reads["batch"], name)[1]) < 2:
        notes.append(f"{step.use} was skipped: {_named(name, study)} has one batch, nothing to align.")
        component, state = Unaligned(), "skipped"
    if step.do == "cluster":
        component, note = _with_k(study, step, component, name)
        notes += [note] if note else []
    there = {role: slot for role, slot in reads.items() if slot not in ledger.written}
    if step.do in JUDGING and nothing_to_judge(step.do, study, there, name):
        return Unit(name, component, "", "skipped"), notes
    read_as = STUDY if step.do in {"predict", "segment"} else name
    inputs = [(role, ledger.identity(slot, read_as)) for role, slot in reads.items()]
    inputs += _beside(step, component)
    inputs += [("fold", name)] if step.do in {"predict", "segment"} else []
    inputs += _whose(study, step) if step.do == "segment" else []
    drawn = component.random or step.do in {"score", "analyse"} or getattr(step, "stain", None)
    name_of = type(getattr(component, "of", component)).__qualname__
    about = (step.do, name_of, component.revision)
    params = asdict(component)
    if hasattr(component, "fingerprint"):  # what a file holds counts, not where it lies
        params = {name: value for name, value in params.items() if name not in PATHS}
    key = identity.of_step(about, params, inputs, recipe.seed if drawn else None)
    return Unit(name, component, key, state), notes


def _whose(study: Study, step: Any) -> list[tuple[str, str]]:
    """What decides which tiles are held out, and what is known of nuclei that people drew."""
    about = study.about.reindex(columns=["donor", "organ"]).astype(str)
    found = [("whose", identity.of_json(about.loc[list(study.samples)].to_numpy().tolist()))]
    if study.has(slots.TRUTH):  # types of nuclei, learned from or judged
        found.append(("truth", study.digest(slots.TRUTH, STUDY)))
    return found


def _beside(step: Any, component: Any) -> list[tuple[str, str]]:
    """What else decides a step's result: files that its component reads, and the stain it is shown."""
    found = [("files", component.fingerprint())] if hasattr(component, "fingerprint") else []
    if step.do == "deconvolve":
        given = Path(step.table or step.reference)
        if not given.exists():
            raise DataError(f"There is no {given}, which deconvolve is to read.", "Check the path.")
        found += [("given", identity.of_file(given)), ("columns", identity.of_json([step.types, step.batch]))]
    if step.do == "predict":
        found.append(("rule", identity.of_json([step.held_out, step.background_above])))
    if step.do == "segment":
        rule = step.model_dump(mode="json", exclude={"do", "use", "params", "over", "to"})
        found.append(("rule", identity.of_json(rule)))
    if getattr(step, "stain", None):
        normaliser = stains.make(step.stain.use, step.stain.params)
        about = [step.stain.use, type(normaliser).revision, asdict(normaliser)]
        found.append(("stain", identity.of_json(about)))
    return found


def _named(unit: str, study: Study) -> str:
    return f"sample {unit}" if unit != STUDY else "the study"


def nothing_to_judge(do: str, study: Study, reads: dict[str, str], unit: str) -> bool:
    """Whether a score or an analysis has no sense.

    No label is known; or, of a score, one batch, donor or sample cannot mix or agree.
    """
    if slots.TRUTH in reads.values() and not _labelled(study, slots.TRUTH, unit):
        return True
    known = reads.get("truth", "") if do == "score" else reads.get("abundances.truth", "")
    if known.startswith("obsm:") and study.has(known):
        return not np.isfinite(study.array(known, unit)).all(axis=1).any()
    if do == "analyse":
        return False
    nuisance = {slots.BATCH, slots.DONOR, slots.SAMPLE} & set(reads.values())
    return any(len(study.codes(slot, unit)[1]) < 2 for slot in nuisance)


def _labelled(study: Study, slot: str, unit: str) -> bool:
    return study.has(slot) and bool((study.codes(slot, unit)[0] >= 0).any())


def _with_k(study: Study, step: Any, component: Any, unit: str) -> tuple[Any, str]:
    """The clusterer with its k, or with the criterion that will choose it; and what the user should know."""
    note, n = "", len(study.rows(unit))
    if step.k_from != "recipe" and not hasattr(component, "k"):
        raise RecipeError(f"{step.use} has no k.", "Leave k_from out.")
    if step.k_from in {"bic", "stability"}:
        from triptych.clusterers.choosing import Choosing

        return Choosing(component, step.k_from, step.k_min, step.k_max), note
    if step.k_from == "truth" and _labelled(study, slots.TRUTH, unit):
        component = replace(component, k=len(study.codes(slots.TRUTH, unit)[1]))
    elif step.k_from == "truth":
        note = (
            f"{_named(unit, study)} has no known labels: k = {component.k} is the recipe's own.".capitalize()
        )
    if getattr(component, "k", 0) > n:
        raise DataError(f"k = {component.k} is larger than the {n} observations of {_named(unit, study)}.")
    return component, note


def _looked_up(unit: Unit, cache: Cache | None, *, model: bool) -> Unit:
    known = cache is not None and unit.state == "run" and cache.has(unit.key, model=model)
    return replace(unit, state="cached") if known else unit
