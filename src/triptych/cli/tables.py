"""What the command line prints: progress on stderr, tables on stdout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from triptych.core.progress import listening

WIDTH = 140


def console() -> Console:
    """Stdout; a fixed width where it is no terminal, so that tables are not cut in logs."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=WIDTH, highlight=False)


@contextmanager
def progress() -> Iterator[None]:
    """Bars on stderr while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        with listening(tell):
            yield


def table(headers: list[str], rows: list[list[Any]]) -> None:
    """Print a table."""
    shown = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*[str(cell) for cell in row])
    console().print(shown, markup=False)


def show_plan(planned: list[Any]) -> None:
    """Print a plan."""
    rows = []
    for step in planned:
        states = [unit.state for unit in step.units]
        counted = ", ".join(f"{state} {states.count(state)}" for state in dict.fromkeys(states))
        reads = ", ".join(dict.fromkeys(step.reads.values()))
        rows.append([step.index, step.step.do, step.step.use, reads, step.step.writes, step.over, counted])
    table(["", "verb", "component", "reads", "writes", "over", "state"], rows)
    for note in dict.fromkeys(note for step in planned for note in step.notes):
        console().print(f"note: {note}", markup=False)


def show_distances(distances: Any) -> None:
    """Print how far new sections lie from those of a fit."""
    rows = [
        [
            row.sample,
            row.slot,
            f"{row.distance:.2f}",
            "" if math.isnan(row.farthest_of_fit) else f"{row.farthest_of_fit:.2f}",
            "" if math.isnan(row.share_outside) else f"{row.share_outside:.1%}",
        ]
        for row in distances.itertuples()
    ]
    table(["section", "space", "distance", "farthest of the fit's own", "observations outside"], rows)


def _number(metric: str, value: float) -> str:
    """A score, a count of clusters, or a dash for what was not scored."""
    if value != value:
        return "–"
    return f"{value:.0f}" if metric == "clusters" else f"{value:.3f}"


def show_comparison(result: Any, out: Path) -> None:
    """Print the tables or the summary of a study, what it found, and where the page is."""
    from triptych.report.comparing_wide import wide_grids

    for layout in result.layouts:
        console().print(layout.title, markup=False)
        for grid in wide_grids(result, layout):
            lines = [[f"*{cell.text}" if cell.best else cell.text for cell in row] for row in grid.rows]
            table(grid.head, lines)
    if not result.layouts:
        _show_summary(result)
    if not len(result.summary):
        console().print("No arm was scored: there is nothing to compare.", markup=False)
    for sentence in (*result.conclusions, *(f"note: {note}" for note in result.notes)):
        console().print(sentence, markup=False)
    console().print(f"page: {out / 'compare.html'}", markup=False)


def _show_summary(result: Any) -> None:
    rows = [
        [row.metric, row.arm, row.k_from, f"{row.value:.3f}", f"{row.low:.3f} … {row.high:.3f}",
         f"{row.sd_seeds:.3f}", f"{row.k:.1f}"]
        for row in result.summary.itertuples()
    ]  # fmt: skip
    table(["metric", "arm", "K from", "mean", "interval", "sd of seeds", "K"], rows)


def show_failures(found: list[Any]) -> None:
    """Say on stderr that runs of a study failed, and why the first did."""
    first = found[0]
    failed = f"{len(found)} run{'s' if len(found) > 1 else ''} failed, the others are kept"
    fault = f"{failed}; {first.arm}, {first.which}: {first.error}"
    typer.secho(f"error: {fault}", err=True, fg="red")


def show_run(record: Any, out: Path) -> None:
    """Print scores, warnings and where the report is."""
    scores = record.scores[~record.scores["slot"].astype(str).str.startswith("control:")]
    if not scores.empty:
        wide = scores.pivot_table(index=["metric", "slot"], columns="sample", values="value", sort=False)
        rows = [
            [*name, *(_number(str(name[0]), value) for value in values)]
            for name, values in zip(wide.index, wide.to_numpy(), strict=True)
        ]
        table(["metric", "of", *map(str, wide.columns)], rows)
    for warning in record.warnings:
        console().print(f"note: {warning}", markup=False)
    console().print(
        f"{record.seconds:.1f} s, peak {record.peak_mib:.0f} MiB; report: {out / 'report.html'}", markup=False
    )
