"""One step on a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from triptych.pipeline.recipe import Recipe, validated
from triptych.pipeline.record import RunRecord
from triptych.pipeline.run import run


def applied(table: AnnData, step: Mapping[str, Any], seed: int) -> RunRecord:
    """Run one step of a recipe on a table."""
    recipe: Recipe = validated({"name": "verb", "seed": seed, "steps": [dict(step)]}, f"tp.{step['do']}")
    return run(recipe, table).record
