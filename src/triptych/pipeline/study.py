"""The binder: the only place that moves arrays between the table and the components."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from triptych.core import slots
from triptych.core.abundance import Abundance
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, MissingSlotError
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Array, Codes, Counts, Indices, Places
from triptych.core.slots import Slot
from triptych.maths.neighbours import Neighbours, nearest
from triptych.maths.overlaps import as_arrays, from_arrays, of_images
from triptych.pipeline import identity
from triptych.pipeline.beside import BESIDE, digest, without
from triptych.pipeline.pixels import Pixels
from triptych.pipeline.written import NUCLEI, put

STUDY: Final = "study"  # the unit of a step that sees every sample


class Study:
    """A table with its samples, read and written by slot.

    Parameters
    ----------
    table
        As a reader returns it.

    Raises
    ------
    DataError
        When the table is not one that a reader has admitted.
    """

    def __init__(self, table: AnnData) -> None:
        missing = [name for name in ("sample", "donor", "batch") if name not in table.obs]
        if missing or slots.UNS not in table.uns or "spatial" not in table.obsm:
            raise DataError(
                f"The table is not a study: it lacks {listing(missing or ['uns:triptych or obsm:spatial'])}.",
                "Read it with triptych.read, or write obs:sample, obs:donor, obs:batch and obsm:spatial.",
            )
        self.table = table
        self._digests: dict[tuple[str, str], str] = {}
        self._near: dict[tuple[str, str], Neighbours] = {}
        self.neighbours_wanted: dict[str, int] = {}  # slot → the most that any metric will ask for

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """Names of the sections, in the order of their first observation."""
        return tuple(str(name) for name in pd.unique(self.table.obs["sample"].astype(str)))

    @cached_property
    def _rows(self) -> dict[str, Indices]:
        names = self.table.obs["sample"].astype(str).to_numpy()
        return {name: np.flatnonzero(names == name) for name in self.samples}

    @property
    def about(self) -> pd.DataFrame:
        """One row per sample: donor, image, image_scale, mpp, spot_um, pitch_um, lattice."""
        about: pd.DataFrame = self.table.uns[slots.UNS]["samples"]
        return about

    @property
    def donors(self) -> dict[str, str]:
        """Sample → donor."""
        return {name: str(self.about.loc[name, "donor"]) for name in self.samples}

    def made_before(self, slot: str) -> dict[str, str]:
        """What made a slot in an earlier run: do, use, over, reads, protocol …; empty if none did."""
        made = self.table.uns[slots.UNS].get("made")
        if made is None or slot not in made.index:
            return {}
        return {str(name): str(value) for name, value in made.loc[slot].items()}

    def rows(self, unit: str) -> Indices:
        """Row numbers of a sample, or of the whole study."""
        return np.arange(self.table.n_obs) if unit == STUDY else self._rows[unit]

    def members(self, unit: str) -> Sequence[str]:
        """The samples of a unit."""
        return self.samples if unit == STUDY else (unit,)

    # -- reading ---------------------------------------------------------------------------------

    def has(self, slot: str) -> bool:
        """Whether the table holds the slot."""
        if slot in BESIDE:
            return not without(slot, self.about)
        parsed = Slot.parse(slot)
        return parsed.key in self._held(parsed.container)

    def _held(self, container: str) -> Any:
        """What a container holds, by key; true and found nuclei lie in uns."""
        if container == NUCLEI:
            return self.table.uns.get(NUCLEI, {})
        return getattr(self.table, container)

    def require(self, slot: str) -> None:
        """Raise when a slot is absent.

        Raises
        ------
        MissingSlotError
            Saying what the container holds.
        """
        if self.has(slot):
            return
        if slot in BESIDE:
            missing = listing(without(slot, self.about))
            raise MissingSlotError(f"There {BESIDE[slot].missing} of {missing}.", BESIDE[slot].hint)
        parsed = Slot.parse(slot)
        held = self._held(parsed.container).keys()
        hint = f"Add a step that writes to: {slot}, or read a slot that is there."
        if slot == slots.TRUTH:
            hint = "Name the column of the known labels with --truth."
        raise MissingSlotError(f"The table has no {slot}. {parsed.container} has: {listing(held)}.", hint)

    def array(self, slot: str, unit: str) -> Array:
        """A matrix slot, rows of one unit."""
        self.require(slot)
        parsed = Slot.parse(slot)
        value = getattr(self.table, parsed.container)[parsed.key]
        if isinstance(value, pd.DataFrame):
            value = value.to_numpy()
        return value if unit == STUDY else value[self.rows(unit)]

    def codes(self, slot: str, unit: str) -> tuple[Codes, list[str]]:
        """A label slot as codes within the unit, -1 = missing, and the names of the codes."""
        self.require(slot)
        column = self.table.obs[Slot.parse(slot).key].iloc[self.rows(unit)]
        kept = column.astype("category").cat.remove_unused_categories()
        return kept.cat.codes.to_numpy().astype(np.int64), [str(name) for name in kept.cat.categories]

    def abundance(self, slot: str, unit: str) -> Abundance:
        """Cell types of a unit, with their intervals where the table holds these.

        Raises
        ------
        DataError
            When the slot names no types.
        """
        self.require(slot)
        key = Slot.parse(slot).key
        frame = self.table.obsm[key]
        if not isinstance(frame, pd.DataFrame):
            raise DataError(
                f"{slot} names no cell types.", "It must be a DataFrame with one column for each type."
            )
        ends = [f"{slot}.{end}" for end in ("low", "high")]
        low, high = (np.asarray(self.array(end, unit), np.float64) if self.has(end) else None for end in ends)
        types = tuple(str(name) for name in frame.columns)
        return Abundance(np.asarray(self.array(slot, unit), np.float64), types, low, high)

    def overlaps(self, slot: str, unit: str, *, organs: str = "all") -> Overlaps:
        """True and found nuclei in the pictures of a unit; of organs that the fit has seen, or of new."""
        self.require(slot)
        whole = from_arrays(self.table.uns[NUCLEI][Slot.parse(slot).key])
        kept = np.isin(whole.samples, list(self.members(unit)))
        if organs != "all":
            kept &= whole.seen == (organs == "seen")
        return whole if kept.all() else of_images(whole, np.flatnonzero(kept))

    def counts(self, unit: str, *, labelled: bool = False) -> Counts:
        """Raw counts of a unit; with the known labels, where an encoder asks for them and there are any."""
        return Counts(
            matrix=sp.csr_matrix(self.array(slots.COUNTS, unit)),
            genes=self.table.var_names.to_numpy().astype(str),
            batch=self.codes(slots.BATCH, unit)[0],
            truth=self.codes(slots.TRUTH, unit)[0] if labelled and self.has(slots.TRUTH) else None,
        )

    def places(self, unit: str) -> Places:
        """Where a unit's observations lie; in the table's own unit where no µm are known."""
        self.require(slots.SPATIAL)
        um = slots.SPATIAL_UM if self.has(slots.SPATIAL_UM) else slots.SPATIAL
        obs = self.table.obs.iloc[self.rows(unit)]
        grid = obs[["array_col", "array_row"]].to_numpy(np.int64) if "array_col" in obs else None
        lattices = set(self.about.loc[list(self.members(unit)), "lattice"].astype(str))
        return Places(
            um=np.asarray(self.array(um, unit), dtype=np.float64),
            sample=self.codes(slots.SAMPLE, unit)[0],
            grid=grid,
            lattice=lattices.pop() if len(lattices) == 1 else "",  # type: ignore[arg-type]
        )

    def neighbours(self, slot: str, unit: str, count: int) -> Neighbours:
        """Nearest neighbours in a space, searched once for all metrics that read it."""
        found = self._near.get((slot, unit))
        if found is None or found.indices.shape[1] < count:
            n = len(self.rows(unit))
            wanted = max(count, min(self.neighbours_wanted.get(slot, 0), n))
            found = self._near[slot, unit] = nearest(np.asarray(self.array(slot, unit)), wanted)
        return found

    def pixels(self, unit: str, *, scaled: bool = True) -> list[Pixels]:
        """What to crop, section by section.

        Parameters
        ----------
        unit
            A sample, or the study.
        scaled
            Whether the micrometres per pixel of the images must be known.

        Raises
        ------
        DataError
            When an image has no resolution although it needs one.
        """
        self.require(slots.IMAGE)
        faults = Faults("images")
        found = []
        for name in self.members(unit):
            about = self.about.loc[name].to_dict()
            scale = float(about["image_scale"])
            known = np.isfinite(float(about["mpp"])) or not scaled
            if not faults.check(known, f"{name} has no µm per pixel"):
                continue
            found.append(
                Pixels(
                    image=str(about["image"]),
                    centres_px=np.asarray(self.array(slots.SPATIAL, name)) * scale,
                    mpp=float(about["mpp"]) / scale,
                    rows=self.rows(name) if unit == STUDY else np.arange(len(self.rows(name))),
                )
            )
        faults.raise_if_any(DataError, "Give mpp in a study manifest, or crop by window_px.")
        return found

    # -- identity --------------------------------------------------------------------------------

    def digest(self, slot: str, unit: str) -> str:
        """Identity of what the data hold: per sample, so that adding a sample keeps the others' results."""
        if unit == STUDY:
            return identity.of_json([[name, self.digest(slot, name)] for name in self.samples])
        if (slot, unit) not in self._digests:
            self._digests[slot, unit] = self._digest(slot, unit)
        return self._digests[slot, unit]

    def _digest(self, slot: str, unit: str) -> str:
        if slot in BESIDE:
            files = digest(slot, {str(k): v for k, v in self.about.loc[unit].to_dict().items()})
            if slot != slots.MOLECULES:
                return files
            names = (self.table.var_names.to_numpy(), self.table.obs_names.to_numpy()[self.rows(unit)])
            return identity.of_json([files, *(identity.of_array(one.astype(str)) for one in names)])
        if slot == slots.COUNTS:
            genes = identity.of_array(self.table.var_names.to_numpy().astype(str))
            return identity.of_json([genes, identity.of_array(self.array(slot, unit))])
        if slot == slots.SPATIAL:
            places = self.places(unit)
            grid = identity.of_array(places.grid) if places.grid is not None else ""
            px = identity.of_array(self.array(slot, unit))
            return identity.of_json([px, identity.of_array(places.um), grid, places.lattice])
        parsed = Slot.parse(slot)
        if parsed.container == NUCLEI:
            arrays = as_arrays(self.overlaps(slot, unit))
            return identity.of_json({name: identity.of_array(array) for name, array in arrays.items()})
        if parsed.container == "obs":
            return identity.of_array(self.table.obs[parsed.key].iloc[self.rows(unit)].astype(object))
        if isinstance(frame := getattr(self.table, parsed.container)[parsed.key], pd.DataFrame):
            return identity.of_json([list(map(str, frame)), identity.of_array(self.array(slot, unit))])
        return identity.of_array(self.array(slot, unit))

    @property
    def identity(self) -> str:
        """Identity of the whole study: names, counts, places and known labels."""
        names = identity.of_array(self.table.obs_names.to_numpy().astype(str))
        read = [s for s in (slots.COUNTS, slots.SPATIAL, slots.TRUTH) if self.has(s)]
        return identity.of_json([names, self.samples, [self.digest(s, STUDY) for s in read]])

    # -- writing ---------------------------------------------------------------------------------

    def write(self, slot: str, values: dict[str, Array]) -> None:
        """Put what the units of a step made into the table.

        Parameters
        ----------
        slot
            Where to.
        values
            Unit → array, rows in the order of `rows`.
        """
        self._near = {key: found for key, found in self._near.items() if key[0] != slot}
        put(self.table, slot, self._assembled(values))

    def _assembled(self, values: dict[str, Array]) -> Any:
        if set(values) == {STUDY}:
            return values[STUDY]
        widths = {name: value.shape[1:] for name, value in values.items()}
        if len(set(widths.values())) > 1:
            raise DataError(
                f"The samples gave views of different widths: {widths}.",
                "Fewer components, or one step over the study.",
            )
        order = np.argsort(np.concatenate([self.rows(name) for name in values]), kind="stable")
        parts = list(values.values())
        if sp.issparse(parts[0]):
            return sp.vstack(parts, format="csr")[order]
        return np.concatenate(parts)[order]
