"""The command that turns a study of nuclei into SpatialData."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Argument(help="A HEST folder, a Xenium bundle, or another study with pictures.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The store, NAME.zarr; it must not exist.")]
Samples = Annotated[str, typer.Option("--samples", help="Sections, with commas; all by default.")]


def convert(data: Data, out: Out, samples: Samples = "") -> None:
    """Write a study of nuclei as SpatialData: pictures, outlines, transcripts, counts by nucleus and cell."""
    from triptych.cli import tables
    from triptych.pipeline.spatial_data_out import convert as write
    from triptych.readers.layouts import ReadOptions

    chosen = tuple(name.strip() for name in samples.split(",") if name.strip())
    elements = write(data, out, ReadOptions(samples=chosen))
    tables.console().print(f"{out}: {', '.join(elements)}", markup=False, highlight=False)


COMMANDS = (convert,)
