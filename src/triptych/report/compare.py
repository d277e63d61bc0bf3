"""Write the page of a comparison."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from triptych.core.errors import OutputError
from triptych.report.canvas import Canvas
from triptych.report.comparing_figures import figures
from triptych.report.comparing_grids import Cell, Grid, matrices, nested, paired, ranking
from triptych.report.comparing_markdown import markdown
from triptych.report.comparing_wide import wide_grids
from triptych.report.comparison import Comparison
from triptych.report.markup import Html, join, table, tag
from triptych.report.opening import MARK, contents
from triptych.report.wording import DASH, count, figure, heading
from triptych.report.write import POLICY

LONG = 20  # rows, above which a list of arms is folded
JOIN = " · "
STRONGEST = 0.38  # opacity of the best cell, at which its number is still readable


def write_comparison(result: Comparison, out: Path) -> Path:
    """Write ``compare.html``, which needs no other file, ``compare.md`` and ``figures/*.png``.

    Parameters
    ----------
    result
        What was found.
    out
        Folder; made when it does not exist.

    Returns
    -------
    pathlib.Path
        Of the page.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        _replace(out / "compare.md", markdown(result, chapters(result)))
        _replace(out / "compare.html", page(result, Canvas(out / "figures")))
    except OSError as error:
        raise OutputError(
            f"The comparison cannot be written to {out}: {error}.", "Choose another folder."
        ) from error
    return out / "compare.html"


def _replace(target: Path, text: str) -> None:
    """A page is never half written."""
    part = target.with_name(f"{target.name}.part")
    part.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    part.replace(target)


def chapters(result: Comparison) -> dict[str, list[Grid]]:
    """Title → tables: those of the study's own form, then metric by metric, its own metric first."""
    found: dict[str, list[Grid]] = {}
    for number, layout in enumerate(result.layouts, start=1):
        if grids := wide_grids(result, layout):
            found[f"Table {number}{JOIN}{layout.title}"] = grids
    for index, metric in enumerate(result.metrics):
        differences = paired(result, metric)
        more = [*matrices(result, metric)] if index == 0 else []
        tables = [ranking(result, metric), *more, *([differences] if differences else [])]
        found[heading(metric)] = tables
    folds = nested(result)
    return {**found, "Folds": [folds]} if folds else found


def page(result: Comparison, canvas: Canvas) -> str:
    """The whole page."""
    blocks: dict[str, tuple[str, Html]] = {}
    if not result.metrics:
        blocks["nothing"] = ("Results", tag("p", "No arm was scored: there is nothing to compare."))
    first = heading(result.metrics[0]) if result.metrics else ""
    for index, (title, grids) in enumerate(chapters(result).items()):
        parts = [_html(grid) for grid in grids]
        if title == first:
            drawn = figures(canvas, result, result.metrics[0])
            parts.insert(1 + len(matrices(result, result.metrics[0])), _drawn(result, drawn))
        blocks[f"part-{index}"] = (title, join(parts))
    if result.notes:
        blocks["limits"] = ("Limits", tag("ul", *(tag("li", note) for note in result.notes), class_="cite"))
    command = tag("pre", tag("code", result.command), tabindex=0)
    blocks["repeat"] = ("Repeat it", command)
    sections = [tag("section", tag("h2", title), body, id=name) for name, (title, body) in blocks.items()]
    links = contents({name: title for name, (title, _) in blocks.items()})
    body = tag("main", _header(result), _conclusions(result), links, *sections, class_="comparison")
    return f"<!DOCTYPE html>\n{tag('html', _head(result.title), tag('body', body), lang='en')}\n"


def _header(result: Comparison) -> Html:
    summary = result.of(result.metrics[0]) if result.metrics else result.summary
    particulars = {"Data": result.data, "Arms": figure(len(result.arms))}
    for name, column in {"Sections": "samples", "Donors": "donors", "Seeds": "seeds"}.items():
        known: list[float] = summary[column].dropna().tolist() if len(summary) else []
        particulars[name] = figure(int(max(known))) if known else DASH
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in particulars.items())
    return tag(
        "header",
        tag("p", MARK, "triptych comparison", class_="eyebrow"),
        tag("h1", result.title),
        *([tag("p", result.question, class_="lead")] if result.question else []),
        tag("dl", *pairs, class_="facts"),
    )


def _conclusions(result: Comparison) -> Html:
    if not result.conclusions:
        return Html("")
    items = tag("ul", *(tag("li", sentence) for sentence in result.conclusions))
    return tag("aside", tag("h2", "Conclusions"), items, class_="findings", aria_label="Conclusions")


def _html(grid: Grid) -> Html:
    rows = ((_cell(cell) for cell in row) for row in grid.rows)
    whole = table(grid.caption, grid.head, rows)
    if len(grid.rows) > LONG and not _shaded(grid):
        whole = tag("details", tag("summary", f"{grid.caption}: {count(len(grid.rows), 'row')}"), whole)
    return tag("div", whole, class_="score")


def _shaded(grid: Grid) -> bool:
    return any(cell.shade is not None for row in grid.rows for cell in row)


def _drawn(result: Comparison, drawn: Html) -> Html:
    """Figures; those of many arms are folded."""
    if not drawn or len(result.arms) <= LONG:
        return drawn
    words = f"Figures of {count(len(result.arms), 'arm')}"
    return tag("div", tag("details", tag("summary", words), drawn), class_="score")


def _cell(cell: Cell) -> Html:
    value = tag("b", cell.text) if cell.best else join([cell.text])
    parts: Iterable[Html] = [value, tag("small", f" {cell.small}")] if cell.small else [value]
    if cell.shade is None:
        return join(parts)
    style = f"background:rgba(0,114,178,{STRONGEST * cell.shade:.3f})"
    return tag("div", *parts, class_="heat", style=style)


def _head(title: str) -> Html:
    style = (files("triptych.report") / "style.css").read_text(encoding="utf-8")
    return tag(
        "head",
        Html('<meta charset="utf-8">'),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"triptych {version('triptych')}"),
        tag("title", f"{title} · triptych"),
        Html(f"<style>{style}</style>"),
    )
