"""The command that simulates transcripts for nuclei which were outlined by hand: simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import tables

Folders = Annotated[
    list[Path], typer.Argument(help="Each holds images/, instances/ and perhaps types/ of the same stems.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder, in the layout of HEST-1k.")]
Reference = Annotated[Path, typer.Option(help="Raw counts of single cells, .h5ad.")]
Column = Annotated[str, typer.Option("--reference-column", help="Of its obs, with the types.")]
Types = Annotated[
    str, typer.Option("--reference-types", help="YAML, «inflammatory: [B, NK], connective: [Endo, VSMC]».")
]
Classes = Annotated[
    str, typer.Option(help="Numbers in types/, e.g. 2=inflammatory,3=epithelial,4=connective.")
]
StandIn = Annotated[
    str, typer.Option("--without-types", help="Types for nuclei without any: by shape, or unknown.")
]
Organ = Annotated[list[str] | None, typer.Option("--organ", help="FOLDER=ORGAN; repeatable.")]
Group = Annotated[bool, typer.Option("--group", help="Lay tiles NAME_000, NAME_001 … side by side.")]
Samples = Annotated[str, typer.Option("--samples", help="Pictures by name or organ, with commas.")]
Held = Annotated[
    list[str] | None, typer.Option("--held", help="A picture or organ to leave out; repeatable.")
]
Mpp = Annotated[float, typer.Option("--mpp", help="Micrometres per pixel.")]
Neoplastic = Annotated[float, typer.Option(help="Share of the epithelial nuclei of each section, a patch.")]
Genes = Annotated[int, typer.Option(help="Of the panel: markers, then the most variable.")]
Number = Annotated[float, typer.Option("--counts", help="Mean transcripts of a nucleus, before losses.")]
Dropout = Annotated[float, typer.Option(help="Share of the transcripts that is lost.")]
Spill = Annotated[float, typer.Option(help="Share that diffuses into neighbours.")]
SpillUm = Annotated[float, typer.Option("--spill-um", help="How far neighbours may be.")]
Wrong = Annotated[float, typer.Option("--misassigned", help="Share given to a wrong cell.")]
Background = Annotated[float, typer.Option(help="Transcripts anywhere, as a share of those of nuclei.")]
LowQuality = Annotated[float, typer.Option("--low-qv", help="Share with a quality value below 20.")]
Controls = Annotated[float, typer.Option(help="Share of control probes.")]
ShiftUm = Annotated[float, typer.Option("--shift-um", help="Farthest shift of a section.")]
Scale = Annotated[float, typer.Option(help="Largest error of the scale of a section.")]
JitterUm = Annotated[float, typer.Option("--jitter-um", help="How uncertain outlines are.")]
Lost = Annotated[float, typer.Option(help="Share of nuclei without an outline.")]
Spurious = Annotated[float, typer.Option("--false", help="Outlines without a nucleus, as a share.")]
Seed = Annotated[int, typer.Option(min=0)]


def simulate(
    folders: Folders,
    out: Out,
    reference: Reference,
    column: Column = "ct",
    types: Types = "",
    classes: Classes = "",
    stand_in: StandIn = "shape",
    organ: Organ = None,
    group: Group = False,
    samples: Samples = "",
    held: Held = None,
    mpp: Mpp = 0.25,
    neoplastic: Neoplastic = 0.0,
    genes: Genes = 300,
    counts: Number = 80.0,
    dropout: Dropout = 0.2,
    spill: Spill = 0.1,
    spill_um: SpillUm = 15.0,
    misassigned: Wrong = 0.05,
    background: Background = 0.05,
    low_quality: LowQuality = 0.05,
    controls: Controls = 0.02,
    shift_um: ShiftUm = 2.0,
    scale: Scale = 0.003,
    jitter_um: JitterUm = 0.3,
    lost: Lost = 0.05,
    spurious: Spurious = 0.02,
    seed: Seed = 0,
) -> None:
    """Simulate transcripts and a displaced segmentation for nuclei that were outlined by hand."""
    words = dict(locals())
    from triptych.pipeline.simulating import simulate as simulated
    from triptych.pipeline.simulating_settings import settings_of

    words["samples"] = tuple(name.strip() for name in samples.split(",") if name.strip())
    words |= {"held": tuple(held or ()), "organs": tuple(organ or ())}
    with tables.progress():
        made = simulated(folders, out, settings_of(words))
    tables.table(list(made.columns), made.round(3).to_numpy().tolist())
    typer.echo(out)


COMMANDS = (simulate,)
