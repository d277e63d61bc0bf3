"""One dictionary from a file of JSON, CSV, TSV or, as Geneformer publishes them, pickle; nothing is run."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, Final

from triptych.core.errors import WeightsError
from triptych.encoders.genes.geneformer_pickle import dictionary

SUFFIXES: Final = (".json", ".csv", ".tsv", ".pkl")  # the preferred one first
BETWEEN: Final = {".csv": ",", ".tsv": "\t"}


def numbers(path: Path) -> dict[str, float]:
    """Name → number.

    Raises
    ------
    WeightsError
        When the file is damaged, or holds something else.
    """
    items = _items(path)
    if path.suffix in BETWEEN:
        items = items[not _number(items[0][1]) :]  # the first row may be a heading
        items = [(key, float(value) if _number(value) else value) for key, value in items]
    for key, value in items:
        if type(key) is not str or type(value) not in (int, float):
            fact = f"{path} should give numbers by name, and gives {value!r} for {key!r}."
            raise WeightsError(fact, "Get the file again.")
    return dict(items)


def texts(path: Path) -> dict[str, str]:
    """Name → text; entries without a name, or without text for it, name no gene and are left out.

    Raises
    ------
    WeightsError
        When the file is damaged, or holds something else.
    """
    found = {key: value for key, value in _items(path) if type(key) is str and type(value) is str}
    if not found:
        raise WeightsError(f"{path} gives no text by name.", "Get the file again.")
    return found


def _items(path: Path) -> list[tuple[Any, Any]]:
    try:
        if path.suffix in BETWEEN:
            return rows(path)
        held = (
            json.loads(path.read_text("utf-8")) if path.suffix == ".json" else dictionary(path.read_bytes())
        )
        if not isinstance(held, dict) or not held:
            raise ValueError("it holds no names and values")
        return list(held.items())
    except (ValueError, LookupError, TypeError) as error:
        raise WeightsError(
            f"{path} is not a dictionary that is read here: {error}.",
            "Get the file again; only names with numbers or text are read, and nothing in it is run.",
        ) from error


def rows(path: Path) -> list[tuple[Any, Any]]:
    """The first two columns of a table, its rows without a second one left out.

    Raises
    ------
    ValueError
        When there are none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        found = [(row[0], row[1]) for row in csv.reader(file, delimiter=BETWEEN[path.suffix]) if len(row) > 1]
    if not found:
        raise ValueError("it has no two columns")
    return found


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
