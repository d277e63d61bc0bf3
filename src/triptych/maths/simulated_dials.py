"""What is wrong with simulated transcripts and outlines, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Dials:
    """How many transcripts there are, and what is wrong with them; at 0 each of the others is off.

    Parameters
    ----------
    counts
        Mean number of a nucleus of mean area, before any are lost.
    dispersion
        Shape r of the gamma of the negative binomial: the variance is mean + mean² / r; 0 for Poisson.
    dropout
        Share that is never seen.
    spill
        Share that diffuses into a nucleus nearby, or into free ground where there is none.
    spill_um
        How far the centres of two such nuclei may lie apart, and the farthest way into free ground.
    misassigned
        Share of those in nuclei that are said to belong to another one.
    background
        Transcripts anywhere in the picture, as a share of those of the nuclei; half of them of any gene of
        the panel, each of these at least once.
    low_quality
        Share with a quality value below 20.
    controls
        Share of all that are of probes which bind to nothing.
    """

    counts: float = 80.0
    dispersion: float = 4.0
    dropout: float = 0.2
    spill: float = 0.1
    spill_um: float = 15.0
    misassigned: float = 0.05
    background: float = 0.05
    low_quality: float = 0.05
    controls: float = 0.02

    def __post_init__(self) -> None:
        shares = ("dropout", "spill", "misassigned", "low_quality")
        faults = [f"{name} is a share from 0 to 1" for name in shares if not 0 <= getattr(self, name) <= 1]
        if not 0 <= self.controls < 1:
            faults.append("controls is a share from 0 to below 1")
        amounts = (one.name for one in fields(self) if one.name not in (*shares, "controls"))
        faults += [
            f"{name} is 0 or more, and finite" for name in amounts if not 0 <= getattr(self, name) < np.inf
        ]
        if faults:
            raise ValueError("; ".join(faults))


@dataclass(frozen=True)
class Warp:
    """How the outlines of a section differ from its nuclei; at 0 each is off.

    Parameters
    ----------
    shift_um
        Farthest shift of a section.
    scale
        Largest error of its scale: 0.003 for ±0.3 %.
    jitter_um
        Standard deviation of an outline's place along the radius.
    lost
        Share of the nuclei without an outline.
    spurious
        Outlines where no nucleus is, as a share of the nuclei.
    """

    shift_um: float = 2.0
    scale: float = 0.003
    jitter_um: float = 0.3
    lost: float = 0.05
    spurious: float = 0.02

    def __post_init__(self) -> None:
        shares = ("lost", "spurious")
        faults = [f"{name} is a share from 0 to 1" for name in shares if not 0 <= getattr(self, name) <= 1]
        if not 0 <= self.scale <= 0.5:
            faults.append("scale is an error from 0 to 0.5")
        faults += [
            f"{name} is 0 or more, and finite"
            for name in ("shift_um", "jitter_um")
            if not 0 <= getattr(self, name) < np.inf
        ]
        if faults:
            raise ValueError("; ".join(faults))
