"""A comparison as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from triptych.report.comparing_grids import Cell, Grid
from triptych.report.comparison import Comparison

SPECIAL = re.compile(r"([\\`*_\[\]|~#$])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    line = " ".join(text.split())
    return SPECIAL.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def pipe_table(grid: Grid) -> str:
    """A caption and a pipe table."""
    lines = [f"{escaped(grid.caption)}:", "", _line(map(escaped, grid.head)), _line("---" for _ in grid.head)]
    return "\n".join([*lines, *(_line(map(_cell, row)) for row in grid.rows)])


def fenced(command: str) -> str:
    """A block of code, with a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{command}\n{fence}"


def markdown(result: Comparison, chapters: Mapping[str, Iterable[Grid]]) -> str:
    """The whole text: what was asked and found, the tables, the limits, and the command.

    Parameters
    ----------
    result
        What was found.
    chapters
        Title → its tables.
    """
    parts = [f"# {escaped(result.title)}", escaped(result.question)]
    if result.conclusions:
        parts += ["## Conclusions", _items(result.conclusions)]
    for title, grids in chapters.items():
        parts += [f"## {escaped(title)}", *map(pipe_table, grids)]
    if result.notes:
        parts += ["## Limits", _items(result.notes)]
    parts += ["## Repeat it", f"Data: {escaped(result.data)}", fenced(result.command)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _items(sentences: list[str]) -> str:
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    text = f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text)
    return f"{text} ({escaped(cell.small)})" if cell.small else text
