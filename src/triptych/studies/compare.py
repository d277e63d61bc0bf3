"""A whole study, from data on disk to a folder with tables and a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from anndata import AnnData

from triptych.pipeline import output
from triptych.pipeline.study import Study
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read
from triptych.report.compare import write_comparison
from triptych.report.comparing_wide import wide
from triptych.report.comparison import Comparison, Layout
from triptych.runs import How
from triptych.studies.design import Design
from triptych.studies.door import check
from triptych.studies.execute import Executed, execute
from triptych.studies.failures import Failures
from triptych.studies.missing import notes, present
from triptych.studies.nested import validate
from triptych.studies.summary import pairs, references, summary
from triptych.studies.words import conclusions


class Finished(NamedTuple):
    """What a study leaves: what it found, and the runs that failed."""

    comparison: Comparison
    failures: Failures


def compare(
    design: Design,
    data: str | Path,
    *,
    out: str | Path | None = None,
    reading: ReadOptions | None = None,
    how: How | None = None,
    command: str = "",
) -> Comparison:
    """Run a study and say what differs.

    Parameters
    ----------
    design
        What is compared, see `triptych.studies.design`.
    data
        Anything `triptych.read` takes.
    out
        Folder for ``runs.csv``, ``summary.csv``, ``pairs.csv``, ``folds.csv``, ``table-NAME.csv`` of each
        table, ``compare.md``, ``compare.html`` and the study itself; None: only the comparison comes back.
    reading
        How to read the data.
    how
        Cache, executor, per sample.
    command
        What the user wrote, for the page.

    Returns
    -------
    What was found; runs that failed are named in its notes.

    Raises
    ------
    TriptychError
        See its sub-classes: each says what is wrong, what exists and what to do.
    """
    place = Path(out) if out is not None else None
    return finish(
        design, data, out=place, reading=reading or ReadOptions(), how=how or How(), command=command
    ).comparison


def finish(
    design: Design, data: str | Path, *, out: Path | None, reading: ReadOptions, how: How, command: str = ""
) -> Finished:
    """Run a study and fill the folder, if there is one."""
    recipes, failures = design.recipes(), Failures()
    check(design, recipes)
    table = read(data, reading)
    study = Study(table)
    found, missing = present(design, recipes, study)
    if out is not None:
        output.claim(out, f"study {design.name}", study.identity)
    folds = pd.DataFrame()
    if design.nested is None:
        executed = execute(design, found, table, how=how, failures=failures, other=_other(design))
    else:

        def source(samples: tuple[str, ...]):  # type: ignore[no-untyped-def]
            return read(data, replace(reading, samples=samples))

        runs, folds = validate(design, design.nested, found, source, study.donors, how=how, failures=failures)
        executed = Executed(runs, [], study, failures.notes())
    tried = {arm: levels for arm, levels in design.levels().items() if arm in found}
    left_out = [*design.left_out(), *missing, *notes(failures.absent, tried)]
    executed = replace(executed, warnings=[*left_out, *executed.warnings])
    result = _comparison(design, executed, folds, str(data), command or _command(design, data, reading))
    if out is not None:
        with output.filling(out) as folder:
            write(result, design, folder, study.identity)
    return Finished(result, failures)


def _other(design: Design) -> AnnData | None:
    """The other data that a study applies its arms to."""
    path, samples = design.other
    return read(path, ReadOptions(samples=samples)) if path else None


def _comparison(
    design: Design, executed: Executed, folds: pd.DataFrame, data: str, command: str
) -> Comparison:
    found = summary(executed)
    first = found["metric"] == design.metric
    found = pd.concat([found[first], found[~first]], ignore_index=True)
    ran = set(found["arm"]) if design.leave_out_missing else set(design.levels())
    levels = {arm: one for arm, one in design.levels().items() if arm in ran}
    against = references(design) if design.nested is None else _judged_references(design)
    gaps = pairs(executed, design.metric, against)
    return Comparison(
        title=design.told(design.title) or design.name,
        question=design.told(design.question),
        data=data,
        command=command,
        arms=pd.DataFrame(list(levels.values()), index=list(levels)),
        runs=executed.runs,
        summary=found,
        pairs=gaps,
        notes=executed.warnings,
        conclusions=conclusions(found, gaps, levels, design.metric, asked=design.asked()),
        folds=folds,
        layouts=[
            _layout(design, name, levels)
            for name, one in design.tables.items()
            if set(one.metrics or (design.metric,)) & set(found["metric"])
            and ran & set(one.arms(design.settings))
        ],
    )


def _layout(design: Design, name: str, levels: Mapping[str, Mapping[str, str]]) -> Layout:
    """How the arms that ran stand in a table."""
    table = design.tables[name]
    arms = {arm: one for arm, one in table.arms(design.settings).items() if arm in levels}
    arms = {arm: one for arm, one in arms.items() if arm in table.among(arms)}
    return Layout(
        name=name,
        title=design.told(table.title) or name,
        note=design.told(table.note),
        columns=table.columns,
        rows=table.down,
        metrics=table.metrics or (design.metric,),
        arms=pd.DataFrame(list(arms.values()), index=list(arms), columns=list(table.factors)),
    )


def _judged_references(design: Design) -> dict[str, str]:
    """Arms of a nested study against their references, judged in the same way."""
    kinds = ("applied", "alone", "together")
    return {f"{arm} ({kind})": f"{ref} ({kind})" for arm, ref in references(design).items() for kind in kinds}


def write(result: Comparison, design: Design, folder: Path, identity: str) -> None:
    """Write tables and page; provenance comes last."""
    frames = {"runs": result.runs, "summary": result.summary, "pairs": result.pairs, "folds": result.folds}
    for name, frame in frames.items():
        if len(frame):
            frame.to_csv(folder / f"{name}.csv", index=False)
    for layout in result.layouts:
        wide(result, layout).to_csv(folder / f"table-{layout.name}.csv", index=False)
    output.write_study(design.model_dump(mode="json", by_alias=True, exclude_defaults=True), folder)
    write_comparison(result, folder)
    output.write_claim(folder, recipe=f"study {design.name}", data=result.data, identity=identity)


def _command(design: Design, data: str | Path, reading: ReadOptions) -> str:
    words = [design.name] if not design.arms else [shlex.quote(arm.recipe) for arm in design.arms.values()]
    samples = [f"--samples {shlex.quote(','.join(reading.samples))}"] if reading.samples else []
    truth = [f"--truth {shlex.quote(reading.truth)}"] if reading.truth else []
    return " ".join(
        ["triptych compare", *words, f"--data {shlex.quote(str(data))}", *samples, *truth, "-o OUT"]
    )
