"""Which way a score is good: to follow a donor or a batch is a fault, to mix them is not."""

from __future__ import annotations

from typing import Final

from triptych.core.errors import TriptychError
from triptych.core.slots import BATCH, DONOR, SAMPLE, Slot
from triptych.metrics import registry
from triptych.plots.scores import IN

NUISANCES: Final = {Slot.parse(slot).key for slot in (BATCH, DONOR, SAMPLE)}
FLOOR, CEILING = "|", "d"  # marks of what is worth nothing, and of the best that can be
OF_TYPES: Final = {  # what a metric is against → what the controls of its score mean
    "abundance": (
        "The bar is the prediction of other observations of the section, the diamond the target itself."
    ),
    "interval": (
        "The bar is the intervals of other observations of the section. Read coverage and width together: "
        "coverage should be the level that was promised, and more of it is bought with width."
    ),
    "nuclei": (
        "The diamond is the known nuclei, as if just these had been found; the bar, of scores of types, is "
        "what was found with its types shuffled."
    ),
}
ORGANS: Final = {"seen": "in seen organs", "new": "in new organs"}  # what follows a metric of nuclei
Controls = dict[str, tuple[str, str]]  # slot → its mark in the chart and its name


def nuisance(metric: str, slot: str = "") -> str:
    """The column that a result should not follow, e.g. ``donor``; empty for a score of anything else."""
    other = plain(metric).partition(":")[2] or slot.partition(IN)[0].removeprefix("obs:")
    return other if other in NUISANCES else ""


def plain(metric: str) -> str:
    """A metric without the word that it was measured on other data, ``pq:new`` of ``pq:new@elsewhere``."""
    return metric.partition("@")[0]


def organs(metric: str) -> str:
    """Whether a score is of the organs that a fit has seen, or of new ones, in words; empty for all."""
    name, _, which = plain(metric).partition(":")
    return ORGANS.get(which, "") if _declared(name, "against", default="") == "nuclei" else ""


def mixing(metric: str) -> bool:
    """Whether the best space ignores the codes; no for a metric that is not installed here."""
    return bool(_declared(metric, "mixing", default=False))


def higher_is_better(metric: str, slot: str = "") -> bool | None:
    """The direction of a score; None where neither is better, as between two other columns.

    Parameters
    ----------
    metric
        As in the table of scores: a name, with ``:COLUMN`` where it was not compared with the known labels,
        or ``:seen`` and ``:new`` where the organs of the fit, or others, were judged.
    slot
        What was scored; empty where it is not known, and the metric is then taken as it is meant.
    """
    name, _, other = plain(metric).partition(":")
    other = "" if organs(metric) else other
    if other and other not in NUISANCES:
        return None
    meant = bool(_declared(name, "greater_is_better", default=True))
    if not slot and not other:
        return meant
    return meant == (bool(nuisance(metric, slot)) == mixing(name))


def controls(metric: str, slot: str) -> Controls:
    """How the controls of a score are drawn and called."""
    around = nuisance(metric, slot)
    if not around:
        return {"control:shuffled": (FLOOR, "shuffled"), "control:oracle": (CEILING, "oracle")}
    best = "ceiling" if higher_is_better(metric, slot) else "best"
    return {
        "control:shuffled": (CEILING, f"shuffled ({best})"),
        "control:oracle": (FLOOR, f"{around} itself (worst)"),
    }


def explained(metric: str, slot: str) -> str:
    """What the controls of a score mean where that is not the usual; empty where it is."""
    told = OF_TYPES.get(str(_declared(metric, "against", default="truth")), "")
    if told:
        return told
    around, mixes, other = nuisance(metric, slot), mixing(metric), plain(metric).partition(":")[2]
    if other and not around:
        return f"Agreement with obs:{other}, not with the known labels: neither more nor less is better."
    if around and mixes:
        return (
            f"Higher is better: the space should mix the {_plural(around)}. The diamond is obs:{around} "
            "shuffled, which is perfect mixing: the ceiling of this score, not its floor."
        )
    if around and other:
        return (
            f"{_way(metric, slot)} is better: a guess that follows the {around} is a batch effect. The "
            f"diamond is the guess shuffled, which follows nothing; the bar is the {around} itself."
        )
    if around:
        return (
            f"Lower is better: a space that tells the {_plural(around)} apart shows a batch effect. The "
            f"diamond is obs:{around} shuffled, which no space tells apart."
        )
    if mixes:
        return (
            "Lower is better: this is how far the labels mix. The bar is the labels shuffled, perfect mixing."
        )
    return ""


def _way(metric: str, slot: str) -> str:
    return "Higher" if higher_is_better(metric, slot) else "Lower"


def _declared(metric: str, name: str, *, default: object) -> object:
    try:
        return getattr(registry.find(plain(metric).partition(":")[0]), name, default)
    except (TriptychError, ImportError, AttributeError):  # of a package that wrote the run and is gone
        return default


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("ch") else f"{name}s"
