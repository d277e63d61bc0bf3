"""Commands that look things up: list, show, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from triptych.cli import tables

STUDIES = "studies"
ROOM = Annotated[str, typer.Argument(help="A room, e.g. fusers, «recipes» or «studies»; all by default.")]


def list_(room: ROOM = "") -> None:
    """List components by room, recipes and studies."""
    from triptych.pipeline.catalogue import rooms, summaries
    from triptych.studies.loading import titles

    wanted = [room] if room else [*rooms(), STUDIES]
    rows = [
        [name, entry, line]
        for name in wanted
        for entry, line in (titles() if name == STUDIES else summaries(name))
    ]
    tables.table(["room", "name", "what it does"], rows)


def show(
    room: Annotated[str, typer.Argument(help="A room, «recipes» or «studies».")],
    name: Annotated[str, typer.Argument(help="A name that list shows.")],
) -> None:
    """Show a component's parameters, defaults and source, or the text of a recipe or study."""
    from triptych.pipeline.catalogue import described
    from triptych.studies.loading import study_text

    text = study_text(name) if room == STUDIES else described(room, name)
    tables.console().print(text, markup=False, highlight=False, soft_wrap=True)


def doctor() -> None:
    """Show versions, extras, the cache and the device, for a bug report."""
    from triptych.pipeline.catalogue import health

    tables.table(["", ""], [list(row) for row in health()])


list_.__name__ = "list"
COMMANDS = (list_, show, doctor)
