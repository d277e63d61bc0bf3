"""Commands that look things up: list, show, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from triptych.cli import tables

ROOM = Annotated[str, typer.Argument(help="A room, e.g. fusers, or «recipes»; all by default.")]


def list_(room: ROOM = "") -> None:
    """List components by room, or recipes."""
    from triptych.pipeline.catalogue import rooms, summaries

    wanted = [room] if room else rooms()
    rows = [[name, entry, line] for name in wanted for entry, line in summaries(name)]
    tables.table(["room", "name", "what it does"], rows)


def show(
    room: Annotated[str, typer.Argument(help="A room, or «recipes».")],
    name: Annotated[str, typer.Argument(help="A name that list shows.")],
) -> None:
    """Show a component's parameters, defaults and source, or a recipe's text."""
    from triptych.pipeline.catalogue import described

    tables.console().print(described(room, name), markup=False, highlight=False, soft_wrap=True)


def doctor() -> None:
    """Show versions, extras, the cache and the device, for a bug report."""
    from triptych.pipeline.catalogue import health

    tables.table(["", ""], [list(row) for row in health()])


list_.__name__ = "list"
COMMANDS = (list_, show, doctor)
