"""Commands on the cache: list, size, prune."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from triptych.cli import tables

if TYPE_CHECKING:
    from triptych.pipeline.cache import Cache

app = typer.Typer(help="The cache of finished steps.", no_args_is_help=True)
DAY_S = 86_400
MIB = 1 << 20


def _cache() -> Cache:
    from triptych.core.settings import cache_dir
    from triptych.pipeline.cache import Cache

    return Cache(cache_dir())


@app.command("list")
def list_() -> None:
    """List the entries, the last used first."""
    entries = sorted(_cache().entries(), key=lambda entry: -entry.used)
    rows = [
        [e.key[:12], e.about.get("do"), e.about.get("use"), e.about.get("unit"), f"{e.bytes / MIB:.1f} MiB",
         f"{datetime.fromtimestamp(e.used):%Y-%m-%d %H:%M}"]
        for e in entries
    ]  # fmt: skip
    tables.table(["key", "verb", "component", "unit", "size", "last used"], rows)


@app.command()
def size() -> None:
    """Print where the cache lies and how large it is."""
    cache = _cache()
    entries = list(cache.entries())
    typer.echo(f"{cache.folder}: {len(entries)} entries, {sum(e.bytes for e in entries) / MIB:.1f} MiB")


@app.command()
def prune(
    days: Annotated[float, typer.Option("--days", min=0, help="Remove what was not used for so long.")] = 30,
) -> None:
    """Remove entries that were not used lately; --days 0 empties the cache."""
    count, freed = _cache().prune(older_s=days * DAY_S)
    typer.echo(f"{count} entries removed, {freed / MIB:.1f} MiB freed")
