"""A plan's parts: units of work, steps with their units, and the ledger of what has been written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from triptych.core.slots import OF_DATA, Slot
from triptych.pipeline import identity
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.study import STUDY, Study

TRANSDUCTIVE: Final = "transductive"


@dataclass(frozen=True)
class Unit:
    """One component on one sample, or on the study.

    Parameters
    ----------
    name
        A sample, ``study``, or a fold of what is held out.
    component
        Ready to use.
    key
        Identity of what it makes.
    state
        ``run``, ``cached`` or ``skipped``.
    """

    name: str
    component: Any
    key: str
    state: str


@dataclass(frozen=True)
class PlannedStep:
    """A step with its units.

    Parameters
    ----------
    index
        From 1.
    step
        Of the recipe.
    reads
        Role → slot.
    over
        ``sample`` or ``study``.
    units
        In the order of the samples.
    notes
        What the user should know.
    k_from
        Where the k of what is written or scored comes from, see `triptych.pipeline.steps.Cluster`.
    wanted
        Whether a step of the run reads what its component learns.
    protocol
        How what is written or scored was fitted, in words.
    """

    index: int
    step: Any
    reads: dict[str, str]
    over: str
    units: tuple[Unit, ...]
    notes: tuple[str, ...] = ()
    k_from: str = "recipe"
    wanted: bool = False
    protocol: str = TRANSDUCTIVE

    def fits(self, unit: str) -> bool:
        """Whether its component is fitted, so that what it learns from a unit comes back."""
        if self.step.do in {"predict", "segment"}:
            return unit == STUDY
        if self.step.do == "register":
            return True
        return hasattr(self.units[0].component, "fit") and (self.wanted or self.over == "study")

    @property
    def keeps(self) -> bool:
        """Whether what its component learns is kept: a model of one sample applies to no other."""
        return self.over == "study" and hasattr(self.units[0].component, "fit")


@dataclass
class Ledger:
    """What has been written so far, with its identities and where its k comes from."""

    study: Study
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    k_from: dict[str, str] = field(default_factory=dict)
    protocol: dict[str, str] = field(default_factory=dict)
    together: set[str] = field(default_factory=set)  # cell types that were estimated on all sections
    fitted: set[str] = field(default_factory=set)  # what no section has by itself alone

    def said(self, slot: str) -> str:
        """How what a slot holds was fitted, in this run or an earlier one, in words; empty where unknown."""
        return self.protocol.get(slot) or str(self.study.made_before(slot).get("protocol", ""))

    def made_together(self, slot: str) -> bool:
        """Whether cell types were estimated on several sections at once."""
        made = self.study.made_before(slot)
        return slot in self.together or (bool(made) and self._jointly(made["do"], made["use"], made["over"]))

    def _jointly(self, do: str, use: str, over: str) -> bool:
        """Whether a step estimated cell types of several sections from their counts."""
        several = over == STUDY and len(self.study.samples) > 1
        return do == "deconvolve" and several and BY_VERB[do].find(use).takes == "reference"  # type: ignore[attr-defined]

    def saw(self, slot: str, after: frozenset[str] = frozenset()) -> bool | None:
        """Whether a view was fitted on several sections; None where it came with the data.

        ``after`` are slots that led here: what wrote over its own input is not asked again.
        """
        if slot in self.written or slot in self.fitted:
            return slot in self.fitted
        made = self.study.made_before(slot)
        if not made or made["use"] not in BY_VERB[made["do"]]:
            return None if Slot.parse(slot).container == "obsm" and slot not in OF_DATA else False
        fits = made["over"] == STUDY and hasattr(BY_VERB[made["do"]].find(made["use"]), "fit")
        read = [one for one in json.loads(made["reads"]).values() if ":" in one and one not in OF_DATA]
        beyond = after | {slot}
        return fits or any(self.saw(one, beyond) is not False for one in read if one not in beyond)

    def note(self, one: PlannedStep) -> None:
        """Keep what a step writes."""
        slot, keys = one.step.writes, {unit.name: unit.key for unit in one.units}
        if one.step.do in {"predict", "segment"}:  # read as a whole, whatever its folds were
            keys = {STUDY: identity.of_json(sorted(keys.items()))}
        if self._jointly(one.step.do, one.step.use, one.over):
            self.together.add(slot)
        for written, also in ((slot, False), (one.step.also, True)):
            if written:
                self.written[written] = (
                    {name: identity.of_json([key, written]) for name, key in keys.items()} if also else keys
                )
                self.k_from[written], self.protocol[written] = one.k_from, one.protocol
                if (one.keeps and one.step.do != "predict") or set(one.reads.values()) & self.fitted:
                    self.fitted.add(written)

    def identity(self, slot: str, unit: str) -> str:
        """Identity of what a slot holds of a sample, or of the study."""
        if slot not in self.written:
            return self.study.digest(slot, unit)
        keys = self.written[slot]
        if unit in keys:
            return keys[unit]
        if unit == STUDY:
            return identity.of_json([[name, keys[name]] for name in self.study.samples])
        return f"{keys[STUDY]}/{unit}"
