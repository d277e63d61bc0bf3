"""A fitted recipe: every step with what it learned, saved beside a run and applied to sections never seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from triptych.core import slots
from triptych.core.errors import DataError, WeightsError
from triptych.maths.outlying import Profiles, Reference
from triptych.pipeline.chain_file import ABOUT, FORMAT, Linked, Trained, Written, written_in
from triptych.pipeline.labelling import organ_of
from triptych.pipeline.planned import PlannedStep
from triptych.pipeline.provenance import versions
from triptych.pipeline.recipe import Recipe, validated
from triptych.pipeline.rooms import BY_VERB
from triptych.pipeline.steps import Step
from triptych.pipeline.study import STUDY, Study

PROFILES: Final = "profiles"
WIDEST: Final = 128  # columns of a space whose distances are measured
STATELESS: Final = {"encode", "refine"}  # verbs whose components need no fit to serve a new section


@dataclass(frozen=True, eq=False)
class Link:
    """One step of a chain.

    Parameters
    ----------
    index
        Position in the recipe, from 1.
    step
        Of the recipe.
    use
        Name of the component; ``none`` for an alignment that was skipped.
    component
        With the parameters that it ran with.
    model
        What it learned; None where there was nothing to learn.
    """

    index: int
    step: Any
    use: str
    component: Any
    model: Any


@dataclass(frozen=True, eq=False)
class Chain:
    """A fitted recipe.

    Parameters
    ----------
    recipe
        As it ran.
    links
        Its steps that make something, in order.
    genes
        Of the counts that it was fitted on.
    spaces
        Slot → how the observations of the fit lay there.
    profiles
        Mean expression of its sections; None without counts.
    trained
        What the fit saw.
    obstacle
        Why the chain applies to no other section; empty when it does.
    """

    recipe: Recipe
    links: tuple[Link, ...]
    genes: tuple[str, ...]
    spaces: Mapping[str, Reference]
    profiles: Profiles | None
    trained: Trained
    obstacle: str = ""

    @classmethod
    def of(
        cls, recipe: Recipe, planned: list[PlannedStep], models: Mapping[int, Any], study: Study, data: str
    ) -> Chain:
        """The chain of a run.

        Parameters
        ----------
        recipe
            That ran.
        planned
            Its steps.
        models
            Index of a step → what it learned.
        study
            After the run.
        data
            What the user called it.
        """
        making = [one for one in planned if _making(one.step)]
        links = []
        for one in making:
            unit = one.units[-1]  # of a predict step the one that was fitted on all
            use = "none" if one.step.do == "align" and unit.state == "skipped" else one.step.use
            links.append(Link(one.index, one.step, use, unit.component, models.get(one.index)))
        written = {one.step.writes for one in making if one.step.do in {"encode", "align", "fuse"}}
        written |= {one.step.also for one in making if one.step.also}
        trained = Trained(
            data=data,
            donors=study.donors,
            counts={name: study.digest(slots.COUNTS, name) for name in study.samples}
            if study.has(slots.COUNTS)
            else {},
            k_from={one.step.writes: one.k_from for one in making if one.k_from != "recipe"},
            versions=versions(),
            organs=_organs(making, study),
        )
        genes = tuple(study.table.var_names.astype(str))
        profiles = None
        if study.has(slots.COUNTS):
            profiles = Profiles.of(study.counts(STUDY).matrix, study.codes(slots.SAMPLE, STUDY)[0])
        spaces = _spaces(study, written)
        return cls(recipe, tuple(links), genes, spaces, profiles, trained, _obstacle(making))

    def save(self, folder: Path) -> None:
        """Write the chain to a folder of its own.

        Raises
        ------
        DataError
            When it applies to no other section.
        """
        if self.obstacle:
            raise DataError(f"The model cannot be saved: {self.obstacle}")
        folder.mkdir(parents=True, exist_ok=True)
        for link in self.links:
            if link.model is not None:
                link.model.save(folder / _step(link.index))
        spaces = dict(zip(sorted(self.spaces), map("space-{:02d}".format, range(99)), strict=False))
        for slot, name in spaces.items():
            self.spaces[slot].save(folder / name)
        if self.profiles is not None:
            self.profiles.save(folder / PROFILES)
        about = Written(
            format=FORMAT,
            recipe=self.recipe.model_dump(mode="json", by_alias=True, exclude_none=True),
            links=[
                Linked(
                    index=x.index,
                    use=x.use,
                    params=_params(x.component),
                    learned=x.model is not None,
                    files=_files(x.component),
                )
                for x in self.links
            ],
            genes=list(self.genes),
            spaces=spaces,
            trained=self.trained,
        )
        (folder / ABOUT).write_text(about.model_dump_json(indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Chain:
        """Read what `save` wrote, or the folder of a run that holds it.

        Raises
        ------
        WeightsError
            When there is no model, or a damaged one.
        TriptychError
            When a component that it needs is absent.
        """
        place = folder if (folder / ABOUT).is_file() else folder / "model"
        if not (place / ABOUT).is_file():
            raise WeightsError(
                f"{folder} holds no fitted model: there is no {ABOUT}.",
                "Name the folder given to run -o, or its folder model.",
            )
        about = written_in(place)
        recipe = validated(about.recipe, f"the recipe in {place / ABOUT}")
        making = [index for index, step in enumerate(recipe.steps, start=1) if _making(step)]
        if [one.index for one in about.links] != making:
            raise WeightsError(
                f"{place / ABOUT} is damaged: its links are not the steps of its recipe.", "Run again."
            )
        links = tuple(_restored(one, recipe.steps[one.index - 1], place) for one in about.links)
        spaces = {slot: Reference.load(place / name) for slot, name in about.spaces.items()}
        profiles = Profiles.load(place / PROFILES) if about.trained.counts else None
        return cls(recipe, links, tuple(about.genes), spaces, profiles, about.trained)


def _making(step: Any) -> bool:
    """Whether a step makes something of other sections too: some only made what was learned."""
    return bool(step.writes) and step.do not in {"deconvolve", "register", "annotate"}


def _step(index: int) -> str:
    return f"step-{index:02d}"


def _params(component: Any) -> dict[str, Any]:
    """Plain values of a component; of the one that is chosen for, where k was chosen."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(getattr(component, "of", component))))
    return plain


def _files(component: Any) -> str:
    return str(component.fingerprint()) if hasattr(component, "fingerprint") else ""


def _restored(one: Linked, step: Step, place: Path) -> Link:
    component = BY_VERB[step.do].make(one.use, one.params)
    if step.do == "cluster" and step.k_from in {"bic", "stability"}:
        from triptych.clusterers.choosing import Choosing

        component = Choosing(component, step.k_from, step.k_min, step.k_max)
    if one.files != _files(component):
        raise WeightsError(
            f"The weights of {one.use} are not those of the fit.",
            "Put the same file where it was, or fit again.",
        )
    model = component.restore(place / _step(one.index)) if one.learned else None
    return Link(one.index, step, one.use, component, model)


def _spaces(study: Study, written: set[str]) -> dict[str, Reference]:
    """How the observations lie in each dense space of moderate width that the run made."""
    found = {}
    section = study.codes(slots.SAMPLE, STUDY)[0]
    for slot in sorted(written):
        x = study.array(slot, STUDY)
        if not sp.issparse(x) and x.shape[1] <= WIDEST and np.isfinite(x).all():
            found[slot] = Reference.of(np.asarray(x), section)
    return found


def _organs(making: list[PlannedStep], study: Study) -> dict[str, str]:
    """Sample → organ, where nuclei were learned from."""
    if not any(one.step.do == "segment" for one in making):
        return {}
    return {name: organ_of(study, name) for name in study.samples}


def _obstacle(making: list[PlannedStep]) -> str:
    """Why what was learned applies to no other section."""
    for one in making:
        named, component = f"step {one.index} ({one.step.do}: {one.step.use})", one.units[0].component
        learns = hasattr(component, "fit")
        if learns and not one.keeps:
            return f"{named} was fitted on each section by itself."
        if not learns and one.step.do not in STATELESS:
            return f"{named} cannot be applied to other sections: it has no fit."
    return ""
