"""The output folder: claimed before anything runs, filled in one go, never half-written."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from anndata import AnnData, read_h5ad
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from triptych.core.checks import listing
from triptych.core.errors import DataError, OutputError
from triptych.pipeline.provenance import versions
from triptych.pipeline.recipe import Recipe
from triptych.pipeline.record import SCORE_COLUMNS, RunRecord, StepRecord

PROVENANCE = "provenance.json"
SHOWN = "shown.safetensors"  # pictures and losses of models
SEPARATOR = "|"
STAGING = ".triptych-"
SOMETIMES = (  # not of every run
    "model", "tables", "slides", "tiles", SHOWN, "runs.csv", "summary.csv", "pairs.csv", "folds.csv",
)  # fmt: skip


def claim(out: Path, recipe: str, data_identity: str) -> None:
    """Check that a run may write here.

    Raises
    ------
    OutputError
        When the folder cannot be written, or holds another study, another recipe, or files of someone else.
    """
    try:
        existed = out.exists()
        out.mkdir(parents=True, exist_ok=True)
        probe = Path(tempfile.mkdtemp(prefix=STAGING, dir=out))
        probe.rmdir()
        if not existed:
            out.rmdir()
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror}.", "Choose another folder with -o."
        ) from error
    held = [item.name for item in out.iterdir() if not item.name.startswith(STAGING)] if existed else []
    if not held:
        return
    if PROVENANCE not in held:
        raise OutputError(
            f"{out} holds files that are no run: {listing(held, 5)}.", "Choose an empty folder with -o."
        )
    before = provenance(out)
    if before.get("data_identity") != data_identity:
        raise OutputError(
            f"{out} holds another study ({before.get('data')}, recipe {before.get('recipe')}).",
            "Choose another folder with -o.",
        )
    if before.get("recipe") != recipe:
        raise OutputError(
            f"{out} holds a run of the recipe {before.get('recipe')}, not of {recipe}.",
            "Choose another folder with -o.",
        )


@contextmanager
def filling(out: Path) -> Iterator[Path]:
    """A staging folder inside ``out`` whose content replaces the old one when the block ends well."""
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{STAGING}*"):  # of a run that was killed while writing
        shutil.rmtree(left)
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=out))
    try:
        yield staging
        (out / PROVENANCE).unlink(missing_ok=True)
        _forget([out / name for name in SOMETIMES if not (staging / name).exists()])
        for item in sorted(staging.iterdir(), key=lambda path: path.name == PROVENANCE):
            target = out / item.name
            if target.is_dir():
                shutil.rmtree(target)
            item.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _forget(places: list[Path]) -> None:
    """Remove what an earlier run left and this one does not write, e.g. a model that it has not."""
    for place in places:
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def write(table: AnnData, record: RunRecord, recipe: Recipe, folder: Path) -> None:
    """Write table, scores, recipe and provenance; that provenance is there means that all is."""
    table.write_h5ad(folder / "table.h5ad", compression="gzip")
    record.scores.to_csv(folder / "scores.csv", index=False)
    for name, found in record.tables.items():
        (folder / "tables").mkdir(exist_ok=True)
        found.to_csv(folder / "tables" / f"{name}.csv", index=False)
    (folder / "recipe.yaml").write_text(recipe.to_yaml(), "utf-8")
    if record.pictures:
        save_file(_shown(record), folder / SHOWN)
    content = asdict(replace(record, pictures={}, losses={}))
    content["scores"] = _plain(record.scores)
    content["tables"] = {name: _plain(found) for name, found in record.tables.items()}
    content["notes"] = {name: str(found.attrs.get("note", "")) for name, found in record.tables.items()}
    (folder / PROVENANCE).write_text(json.dumps(content, indent=1), "utf-8")


def write_study(content: dict[str, Any], folder: Path) -> None:
    """Write the design of a study as YAML."""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    (folder / "study.yaml").write_text(text, "utf-8")


def write_claim(folder: Path, *, recipe: str, data: str, identity: str) -> None:
    """Write the provenance by which the folder is known again."""
    content = {"recipe": recipe, "data": data, "data_identity": identity, "versions": versions()}
    (folder / PROVENANCE).write_text(json.dumps(content, indent=1), "utf-8")


def _shown(record: RunRecord) -> dict[str, NDArray[Any]]:
    """Pictures and losses under names that `_parts` takes apart."""
    return {
        SEPARATOR.join((kind, slot, name)): np.ascontiguousarray(array)
        for kind in ("pictures", "losses")
        for slot, arrays in getattr(record, kind).items()
        for name, array in arrays.items()
    }


def _parts(path: Path) -> dict[str, dict[str, dict[str, NDArray[Any]]]]:
    """What a run showed: ``pictures`` and ``losses`` by slot and name."""
    found: dict[str, dict[str, dict[str, NDArray[Any]]]] = {"pictures": {}, "losses": {}}
    for key, array in (load_file(path) if path.is_file() else {}).items():
        kind, slot, name = key.split(SEPARATOR)
        found[kind].setdefault(slot, {})[name] = array
    return found


def _plain(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows as JSON takes them."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def provenance(out: Path) -> dict[str, Any]:
    """What a run wrote down; empty when it is damaged, which makes the folder nobody's run."""
    try:
        content = json.loads((out / PROVENANCE).read_text("utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def read_record(out: Path) -> RunRecord:
    """The record of a finished run.

    Raises
    ------
    DataError
        When the folder holds none, or a damaged one.
    """
    path = out / PROVENANCE
    if not path.is_file():
        raise DataError(
            f"{out} holds no finished run: there is no {PROVENANCE}.", "Name the folder given to run -o."
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        content["steps"] = [StepRecord(**step) for step in content["steps"]]
        content["scores"] = pd.DataFrame(content["scores"], columns=list(SCORE_COLUMNS))
        content["tables"] = {name: pd.DataFrame(rows) for name, rows in content.get("tables", {}).items()}
        for name, note in content.pop("notes", {}).items():
            content["tables"][name].attrs["note"] = note
        return RunRecord(**{**content, **_parts(out / SHOWN)})
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise DataError(f"{path} is damaged: {error}.", "Run again.") from error


def read_table(out: Path) -> AnnData:
    """The table of a finished run.

    Raises
    ------
    DataError
        When it is missing or damaged.
    """
    path = out / "table.h5ad"
    try:
        return read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Run again.") from error
