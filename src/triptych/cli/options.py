"""Arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from triptych.readers.layouts import ReadOptions

Recipe = Annotated[str, typer.Argument(help="A recipe's name, or the path of a YAML file.")]
Data = Annotated[
    str,
    typer.Argument(help="A file, a folder, a slide, a study manifest, «toy», «toy-cells» or «toy-crops»."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for table, scores, figures and report.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="TARGET.KEY=VALUE, e.g. fuse.window=7; repeatable.")
]
Samples = Annotated[str, typer.Option("--samples", help="Samples by name, with commas; all by default.")]
Truth = Annotated[str, typer.Option("--truth", help="Column of the known labels.")]
Unlabelled = Annotated[
    str | None, typer.Option("--unlabelled", help="Labels that mean «not labelled», with commas.")
]
Mpp = Annotated[float, typer.Option("--mpp", help="Micrometres per pixel of a slide; 0: what its file says.")]
PitchUm = Annotated[
    float, typer.Option("--pitch-um", help="Distance of the patches of a slide in µm; 0: the default.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the recipe's own.")]
Seeds = Annotated[int, typer.Option("--seeds", min=0, help="How many, from 0; 0 for the study's own.")]
KFrom = Annotated[str, typer.Option("--k", help="Ways to choose K, with commas: truth,bic,stability.")]
PerSample = Annotated[bool, typer.Option("--per-sample", help="Each sample as a study of its own.")]
Executor = Annotated[str, typer.Option("--executor", help="serial, threads[:N], dask[:ADDRESS].")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Run every step, keep nothing.")]


def reading(
    samples: str, truth: str, unlabelled: str | None, *, mpp: float = 0.0, pitch_um: float = 0.0
) -> ReadOptions:
    """Options of reading, from their text."""
    chosen = tuple(name.strip() for name in samples.split(",") if name.strip())
    options = ReadOptions(samples=chosen, truth=truth, mpp=mpp, pitch_um=pitch_um)
    return options if unlabelled is None else replace(options, unlabelled=tuple(unlabelled.split(",")))
