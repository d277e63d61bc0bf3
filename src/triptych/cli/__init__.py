"""The command line: parse, call one function of a lower floor, print.

Results go to stdout, progress and logs to stderr. Exit codes: 0 ok, 2 bad data or recipe,
3 unknown component, 4 missing extra or weights, 5 numerical failure, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from triptych.cli import caching, converting, looking, running, simulating
from triptych.core.errors import TriptychError

app = typer.Typer(
    name="triptych",
    help="Genes, image and place of tissue sections: aligned, fused, and scored honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (running, looking, simulating, converting):
    for command in module.COMMANDS:
        app.command()(command)
app.add_typer(caching.app, name="cache")


def main() -> None:
    """Run the command line; an error that triptych raises on purpose is one message and an exit code."""
    try:
        app()
    except TriptychError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.secho("interrupted: finished steps are kept, the next run resumes", err=True, fg="red")
        sys.exit(130)
