"""What a fit knows of new sections, and how far they lie from its own."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from triptych.core import slots
from triptych.pipeline.chain import Chain
from triptych.pipeline.study import Study

DISTANCE: Final = "distance"  # name of the table
HELD_OUT: Final = "donor held out"
KNOWN_DONOR: Final = "section held out, donor in the fit"
OF_FIT: Final = "section of the fit"
ROUNDING: Final = 1e-9  # of a distance in standard deviations: means that an aligner made equal


def relations(chain: Chain, study: Study) -> dict[str, str]:
    """Sample → what the fit knows of it."""
    counts, donors = set(chain.trained.counts.values()), set(chain.trained.donors.values())
    found = {}
    for name, donor in study.donors.items():
        seen = study.has(slots.COUNTS) and study.digest(slots.COUNTS, name) in counts
        found[name] = OF_FIT if seen else KNOWN_DONOR if donor in donors else HELD_OUT
    return found


def distances(chain: Chain, study: Study) -> pd.DataFrame:
    """How far each section lies from those of the fit, space by space.

    Returns
    -------
    ``relation`` to the fit, ``distance`` of the section's mean, ``farthest_of_fit`` (the same of the fit's
    sections, each from the others; NaN for a fit of one), ``ratio`` of the two (NaN where the fit's sections
    share one mean), and ``share_outside``: of the observations, beyond where 1 % of the fit's lie. In
    ``layers:counts`` the distance is 1 − the correlation of mean expression, which sees what a projection on
    the fit's components hides.
    """
    rows, known = _profiled(chain, study), relations(chain, study)
    for slot, reference in chain.spaces.items():
        for name in study.samples:
            x = np.asarray(study.array(slot, name))
            distance, farthest = reference.distance(x), np.nan
            if len(reference.leave_one_out):
                farthest = float(reference.leave_one_out.max())
            rows.append({
                "sample": name, "slot": slot, "distance": distance, "farthest_of_fit": farthest,
                "ratio": _ratio(distance, farthest), "share_outside": reference.outside(x),
            })  # fmt: skip
    found = pd.DataFrame([{"sample": row["sample"], "relation": known[row["sample"]], **row} for row in rows])
    return found.sort_values("sample", kind="stable", ignore_index=True) if len(found) else found


def _profiled(chain: Chain, study: Study) -> list[dict[str, Any]]:
    """Distances of mean expression, over the genes that both have."""
    if chain.profiles is None or not study.has(slots.COUNTS):
        return []
    where = study.table.var_names.get_indexer(pd.Index(chain.genes))
    held, rows = np.flatnonzero(where >= 0), []
    for name in study.samples:
        counts = study.counts(name).matrix[:, where[held]]
        distance, own = chain.profiles.distance(counts, held), chain.profiles.leave_one_out
        farthest = float(own.max()) if len(own) else np.nan
        rows.append({
            "sample": name, "slot": slots.COUNTS, "distance": distance, "farthest_of_fit": farthest,
            "ratio": _ratio(distance, farthest), "share_outside": np.nan,
        })  # fmt: skip
    return rows


def _ratio(distance: float, farthest: float) -> float:
    return distance / farthest if farthest > ROUNDING else float("nan")
