"""What moved the numbers, kept with the table: steps, versions, memory."""

from __future__ import annotations

import json
import resource
import sys
from importlib.metadata import version

import pandas as pd
from anndata import AnnData

from triptych.core import slots
from triptych.pipeline.record import RunRecord

PACKAGES = ("triptych", "anndata", "numpy", "scipy", "scikit-learn", "harmonypy", "torch")
KIB = 1024


def remember(table: AnnData, record: RunRecord) -> None:
    """Provenance and scores inside the table."""
    made = [
        {
            "slot": step.to, "do": step.do, "use": step.use, "params": json.dumps(step.params),
            "reads": json.dumps(step.reads), "over": step.over, "seed": record.seed,
            "key": json.dumps(step.keys), "gives": step.gives, "protocol": step.protocol,
            "version": record.versions["triptych"],
        }
        for step in record.steps
        if step.to
    ]  # fmt: skip
    kept = table.uns[slots.UNS]
    if made:
        before = [kept["made"].reset_index()] if "made" in kept else []
        both = pd.concat([*before, pd.DataFrame(made)], ignore_index=True)
        kept["made"] = both.drop_duplicates("slot", keep="last").set_index("slot")
    if not record.scores.empty:
        kept["scores"] = record.scores.astype(dict.fromkeys(("fold", "donor", "sample"), str))


def versions() -> dict[str, str]:
    """Package → version, of what may move numbers."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}


def peak_mib() -> float:
    """Peak resident memory of this process, MiB (ru_maxrss is KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (KIB * KIB if sys.platform == "darwin" else KIB)
