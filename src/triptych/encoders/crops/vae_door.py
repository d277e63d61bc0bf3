"""What autoencoders of crops refuse before they look, and what they say about crops that are cut."""

from __future__ import annotations

from typing import Final
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import TriptychWarning
from triptych.core.protocols import Crops
from triptych.encoders.crops.vae_plan import VaePlan
from triptych.maths.crops import Counting, Cropper, asked_for

APART: Final = 0.05  # relative difference of pixel sizes beyond which crops show other tissue
LOOKED_AT: Final = 256  # crops in which some light is sought


def kept_genes(crops: Crops, plan: VaePlan) -> NDArray[np.str_]:
    """Genes with enough molecules in all sections together; none where molecules are not looked at."""
    if "molecules" not in plan.sees:
        return np.empty(0, np.str_)
    counts = np.zeros(len(crops.genes), np.int64)
    for section in crops.molecules:
        counts += np.bincount(section.gene, minlength=len(crops.genes))[: len(crops.genes)]
    return crops.genes[counts >= plan.least_transcripts]


def pixel_size(crops: Crops) -> float | None:
    """Mean micrometres per pixel of the sections of the cells; None where unknown."""
    sizes = _sizes(crops)
    return float(sizes.mean()) if len(sizes) else None


def _sizes(crops: Crops) -> NDArray[np.float64]:
    sizes = np.asarray(crops.mpp, np.float64)[np.unique(crops.sample)]
    return sizes[np.isfinite(sizes)]


def _listed(sizes: NDArray[np.float64]) -> str:
    return listing(f"{size:.4g}" for size in np.unique(sizes))


def check_fit(crops: Crops, plan: VaePlan) -> None:
    """Refuse crops that nothing can be learned from, as far as can be told without cutting them.

    Raises
    ------
    DataError
        With all faults found.
    """
    faults, n = Faults(plan.name), len(crops.centres_px)
    faults.check(n >= 2, f"it learns from at least 2 cells; there {'is' if n == 1 else 'are'} {n}.")
    if "molecules" in plan.sees:
        some = any(len(section.gene) for section in crops.molecules)
        if faults.check(some, "the sections have no molecules."):
            faults.check(
                len(kept_genes(crops, plan)) > 0,
                f"no gene has {plan.least_transcripts} molecules or more in these sections.",
            )
    _check_stains(faults, crops, plan, asked_for(plan.stains, crops.stains))
    if n:
        sizes = _sizes(crops)
        apart = sizes.size and sizes.max() > sizes.min() * (1 + APART)
        faults.check(
            not apart,
            f"pixels of the sections measure {_listed(sizes)} µm; crops of as many pixels show other tissue.",
        )
    faults.raise_if_any()


def check_apply(
    crops: Crops, plan: VaePlan, genes: tuple[str, ...], stains: tuple[str, ...], *, mpp: float | None
) -> None:
    """Refuse crops that are not of the kind that a fit has seen.

    Parameters
    ----------
    crops
        New ones.
    plan
        Of the fit.
    genes, stains, mpp
        Those of the fit.

    Raises
    ------
    DataError
        With all faults found.
    """
    faults = Faults(plan.name)
    if genes:
        absent = np.setdiff1d(np.array(genes), crops.genes)
        faults.check(
            2 * len(absent) <= len(genes),
            f"{len(absent)} of {len(genes)} genes of the fit are missing: {listing(absent)}.",
        )
        faults.check(len(crops.molecules) > 0, "the sections have no molecules.")
    _check_stains(faults, crops, plan, stains)
    sizes = _sizes(crops)
    if mpp is not None and sizes.size:
        far = sizes[np.abs(sizes - mpp) > APART * mpp]
        faults.check(
            not far.size,
            f"pixels of the sections measure {_listed(far)} µm, those of the fit {mpp:.4g} µm; "
            f"crops of {plan.crop_px} px show other tissue.",
        )
    faults.raise_if_any()


def _check_stains(faults: Faults, crops: Crops, plan: VaePlan, wanted: tuple[str, ...]) -> None:
    if "stains" not in plan.sees:
        return
    absent = [name for name in wanted if name not in crops.stains]
    if not faults.check(bool(crops.stains), "the data have no stains."):
        return
    faults.check(not absent, f"the data have no stain {listing(absent)}; they have {listing(crops.stains)}.")
    for section in np.unique(crops.sample):
        height, width = crops.pixels[section][0].shape
        faults.check(
            plan.crop_px <= min(height, width),
            f"the stains of section {section} measure {width} × {height} px, less than crops of "
            f"{plan.crop_px} px.",
        )


def check_content(cropper: Cropper, plan: VaePlan, counting: Counting) -> None:
    """Refuse crops with nothing in them, once they can be cut.

    Raises
    ------
    DataError
        With all faults found.
    """
    faults = Faults(plan.name)
    if "molecules" in plan.sees:
        what = "molecule" if plan.molecules == "all" else "molecule assigned to its cell"
        seen = counting.molecules > counting.in_no_crop
        faults.check(seen, f"none of the {counting.crops} crops of {plan.crop_px} px holds a {what}.")
    if "stains" in plan.sees:
        rows = np.unique(np.linspace(0, cropper.n - 1, LOOKED_AT).astype(np.int64))
        varies = np.zeros(len(cropper.stains), np.bool_)
        for part in np.array_split(rows, -(-len(rows) // plan.batch)):
            pixels = cropper.pixels(part)
            faults.check(bool(np.isfinite(pixels).all()), "there are grey values that are not finite.")
            varies |= (pixels != pixels[:, :, :1, :1]).any((0, 2, 3))
        flat = [name for name, some in zip(cropper.stains, varies, strict=True) if not some]
        faults.check(not flat, f"{listing(flat)}: constant in every crop that was looked at ({len(rows)}).")
    faults.found = list(dict.fromkeys(faults.found))
    faults.raise_if_any()


def tell(counting: Counting, plan: VaePlan) -> None:
    """Say how much of cells and crops is cut off.

    Warns
    -----
    TriptychWarning
        When molecules of cells lie outside their crops, or crops reach beyond the image.
    """
    notes = []
    if "molecules" in plan.sees and counting.cut_off:
        notes.append(
            f"{counting.cut_off} of {counting.assigned} molecules of these cells lie outside the crop "
            f"of {plan.crop_px} px around their own."
        )
    if "stains" in plan.sees and counting.beyond_image:
        notes.append(
            f"{counting.beyond_image} of {counting.crops} crops reach beyond the image, where all is 0."
        )
    if notes:
        warn(f"{plan.name}: {' '.join(notes)}", TriptychWarning, stacklevel=4)
