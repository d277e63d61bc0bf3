"""Commands that bind a recipe to data: run, plan, check."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import options, tables


def run(
    recipe: options.Recipe,
    data: options.Data,
    out: options.Out,
    changes: options.Changes = None,
    samples: options.Samples = "",
    truth: options.Truth = "",
    unlabelled: options.Unlabelled = None,
    seed: options.Seed = None,
    per_sample: options.PerSample = False,
    executor: options.Executor = "serial",
    no_cache: options.NoCache = False,
) -> None:
    """Run a recipe on data and write table, scores, figures and report."""
    from triptych.core.executors import executor as named
    from triptych.pipeline.recipe import load
    from triptych.readers.read import read
    from triptych.runs import How, finish

    ready = load(recipe, changes or ())
    ready = ready if seed is None else ready.model_copy(update={"seed": seed})
    how = How(per_sample=per_sample, cached=not no_cache, executor=named(executor))
    with tables.progress():
        reading = options.reading(samples, truth, unlabelled)
        record = finish(ready, read(data, reading), data, out=out, reading=reading, how=how)
    tables.show_run(record, out)


def plan(
    recipe: options.Recipe,
    data: options.Data,
    changes: options.Changes = None,
    samples: options.Samples = "",
    truth: options.Truth = "",
    unlabelled: options.Unlabelled = None,
    seed: options.Seed = None,
    per_sample: options.PerSample = False,
) -> None:
    """Show what would run, and what is already in the cache; runs nothing."""
    from triptych.core.settings import cache_dir
    from triptych.pipeline.cache import Cache
    from triptych.pipeline.each import bound
    from triptych.pipeline.plan import plan as planned
    from triptych.pipeline.recipe import load
    from triptych.pipeline.study import Study
    from triptych.readers.read import read

    ready = load(recipe, changes or ())
    ready = ready if seed is None else ready.model_copy(update={"seed": seed})
    study = Study(read(data, options.reading(samples, truth, unlabelled)))
    tables.show_plan(planned(bound(ready, study), study, Cache(cache_dir()), per_sample=per_sample))


def check(recipe: options.Recipe, changes: options.Changes = None) -> None:
    """Check a recipe without data: names, parameters, and which step feeds which."""
    from triptych.pipeline.each import patterns, sketched
    from triptych.pipeline.recipe import load
    from triptych.pipeline.wiring import check as wired

    ready = load(recipe, changes or ())
    whole = sketched(ready)
    wired(whole)
    more = " with one view" if patterns(ready) else ""
    typer.echo(f"{ready.name}: {len(whole.steps)} steps{more}, no fault")


def apply(
    model: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    data: options.Data,
    out: options.Out,
    samples: options.Samples = "",
    truth: options.Truth = "",
    unlabelled: options.Unlabelled = None,
    mpp: options.Mpp = 0.0,
    pitch_um: options.PitchUm = 0.0,
) -> None:
    """Embed, label or predict with what a run has learned, and say how far the sections lie from its own.

    A slide without molecules is cut into touching patches of tissue, as wide as what the model sees.
    """
    from triptych.readers.read import read
    from triptych.runs import finish_apply, for_chain, load_chain

    chain = load_chain(model)
    reading = for_chain(options.reading(samples, truth, unlabelled, mpp=mpp, pitch_um=pitch_um), chain)
    with tables.progress():
        record = finish_apply(chain, read(data, reading), data, model=model, out=out, reading=reading)
    tables.show_distances(record.tables["distance"])
    tables.show_run(record, out)


def compare(
    arms: Annotated[list[str], typer.Argument(help="A study by name or file, or recipes to compare.")],
    data: Annotated[str, typer.Option("--data", help="A file, a folder, a study manifest, or «toy».")],
    out: options.Out,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="TARGET.KEY=VALUE in recipes; NAME=VALUE, a setting of a study; repeatable."
        ),
    ] = None,
    samples: options.Samples = "",
    truth: options.Truth = "",
    unlabelled: options.Unlabelled = None,
    seeds: Annotated[int, typer.Option("--seeds", min=0, help="How many seeds; 0: the study's own.")] = 0,
    k_from: Annotated[
        str, typer.Option("--k", help="Ways to choose K, with commas: truth,bic,stability.")
    ] = "",
    per_sample: options.PerSample = False,
    executor: options.Executor = "serial",
    no_cache: options.NoCache = False,
) -> None:
    """Compare recipes, or run a study: every arm and seed, intervals, paired differences, one page."""
    from triptych.core.executors import executor as named
    from triptych.runs import How
    from triptych.studies.compare import finish
    from triptych.studies.loading import load_design, with_options

    design = with_options(load_design(arms, changes or ()), seeds=seeds, k_from=k_from)
    how = How(per_sample=per_sample, cached=not no_cache, executor=named(executor))
    with tables.progress():
        result, failures = finish(
            design, data, out=out, reading=options.reading(samples, truth, unlabelled), how=how,
            command=shlex.join(["triptych", *sys.argv[1:]]),
        )  # fmt: skip
    tables.show_comparison(result, out)
    if failures.found:
        tables.show_failures(failures.found)
        raise typer.Exit(failures.found[0].error.exit_code)


def report(
    out: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
) -> None:
    """Write the report of a finished run again, from its table and provenance."""
    from triptych.runs import rewrite_report

    typer.echo(rewrite_report(out))


COMMANDS = (run, apply, compare, plan, check, report)
