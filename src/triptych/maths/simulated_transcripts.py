"""Transcripts drawn for nuclei whose places and types are known, with the faults of real ones as dials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from triptych.core.nuclei import Instances
from triptych.core.protocols import Codes, Indices, Matrix, Vector
from triptych.maths.simulated_dials import Dials

NEIGHBOURS: Final = 5  # nuclei that one may give transcripts to
CONTROLS: Final = 20  # probes that bind to nothing
GOOD, BEST = 20.0, 40.0  # quality values: 20 or more counts, 40 is the most that the instrument tells


@dataclass(frozen=True, eq=False)
class SimulatedTranscripts:
    """Transcripts of a section, from its top to its bottom.

    Parameters
    ----------
    px
        x and y, shape (m, 2).
    gene
        Column of the profiles, shape (m,); from their number of columns on: a control.
    maker
        Row of the nucleus that made it, shape (m,); -1 = none.
    lies
        Row of the nucleus in which it lies, shape (m,); -1 = in none.
    cell
        Row of the nucleus to which it is said to belong, shape (m,); -1 = to none.
    quality
        Phred-scaled quality value, shape (m,).
    """

    px: Matrix
    gene: Codes
    maker: Codes
    lies: Codes
    cell: Codes
    quality: Vector


@dataclass(frozen=True, eq=False)
class Nuclei:
    """The pixels of each nucleus of a picture of labels.

    Parameters
    ----------
    instances
        Shape (h, w): 0 = background, 1 … n without gaps.
    pixel
        Numbers of the pixels of all nuclei in the flattened picture, nucleus after nucleus.
    first
        Where each begins in ``pixel``, and at the end their number; shape (n + 1,).
    """

    instances: Instances
    pixel: Indices
    first: Indices

    @classmethod
    def of(cls, instances: Instances) -> Nuclei:
        """The nuclei of a picture of labels."""
        flat = instances.ravel()
        inside = np.flatnonzero(flat)
        order = np.argsort(flat[inside], kind="stable")
        areas = np.bincount(flat[inside], minlength=1)[1:]
        return cls(instances, inside[order], np.append(0, np.cumsum(areas)).astype(np.int64))

    @cached_property
    def areas(self) -> Indices:
        """In pixels, shape (n,)."""
        return np.diff(self.first)

    @cached_property
    def centres(self) -> Matrix:
        """Centroids x and y in pixels, shape (n, 2)."""
        if not len(self.areas):
            return np.zeros((0, 2))
        y, x = np.divmod(self.pixel, self.instances.shape[1])
        sums = [np.add.reduceat(axis, self.first[:-1]) for axis in (x, y)]
        return np.column_stack(sums) / self.areas[:, None] + 0.5


def drawn_numbers(areas: Indices, dials: Dials, rng: np.random.Generator) -> Indices:
    """Transcripts of each nucleus: negative binomial, with a mean in proportion to its area.

    Parameters
    ----------
    areas
        Shape (n,); their mean has the mean ``dials.counts``.
    dials
        Of these, counts and dispersion.
    rng
        Draws gamma, then Poisson.
    """
    if not len(areas):
        return np.zeros(0, np.int64)
    mean = dials.counts * areas / areas.mean()
    if dials.dispersion > 0:
        mean = mean * rng.gamma(dials.dispersion, 1 / dials.dispersion, len(areas))
    number: Indices = rng.poisson(mean)
    return number


def drawn_genes(profile: Codes, profiles: Matrix, rng: np.random.Generator) -> Indices:
    """A gene for each transcript by its profile.

    All profiles stand one after the other on one line, each from its row number to the next, so that one
    search answers for every transcript.

    Parameters
    ----------
    profile
        Row of ``profiles`` of each transcript, shape (m,).
    profiles
        Frequencies of the genes, shape (p, g), rows add to 1.
    rng
        Draws one number for each.
    """
    p, g = profiles.shape
    ends = np.cumsum(profiles, axis=1)
    ends = ends / ends[:, -1:] + np.arange(p)[:, None]
    found = np.searchsorted(ends.ravel(), profile + rng.random(len(profile)), side="right")
    last = g - 1 - np.argmax(profiles[:, ::-1] > 0, axis=1)  # rounding must not reach beyond the last one
    column: Indices = np.minimum(found - profile * g, last[profile])
    return column


def places_in(nuclei: Nuclei, row: Codes, rng: np.random.Generator) -> Matrix:
    """A place for each transcript, anywhere in a nucleus: a pixel of it, and a point of that pixel.

    Parameters
    ----------
    nuclei
        Where they are.
    row
        In which nucleus each lies, shape (m,).
    rng
        Draws pixels, then points.
    """
    chosen = nuclei.first[row] + (rng.random(len(row)) * nuclei.areas[row]).astype(np.int64)
    y, x = np.divmod(nuclei.pixel[chosen], nuclei.instances.shape[1])
    px: Matrix = np.column_stack([x, y]) + rng.random((len(row), 2))
    return px


def other_nuclei(
    nuclei: Nuclei, row: Codes, rng: np.random.Generator, *, within_px: float = np.inf
) -> Indices:
    """One of the nearest other nuclei for each transcript, shape (m,); -1 where there is none.

    Parameters
    ----------
    nuclei
        Where they are.
    row
        The nucleus that each transcript leaves, shape (m,).
    rng
        Draws which.
    within_px
        How far the centres may lie apart.
    """
    n = len(nuclei.areas)
    if n < 2:
        return np.full(len(row), -1, np.int64)
    most = min(NEIGHBOURS + 1, n)
    far, near = cKDTree(nuclei.centres).query(nuclei.centres, k=most, distance_upper_bound=within_px)
    own = near == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # more than `most` at one place
    far, near = (array[~own].reshape(n, most - 1) for array in (far, near))
    number = np.isfinite(far).sum(axis=1)[row]  # they come sorted, those beyond the limit last
    chosen = near[row, (rng.random(len(row)) * number).astype(np.int64)]
    return np.where(number > 0, chosen, -1)


def simulated(
    nuclei: Nuclei, profile: Codes, profiles: Matrix, *, dials: Dials, mpp: float, rng: np.random.Generator
) -> SimulatedTranscripts:
    """Transcripts of a section.

    Parameters
    ----------
    nuclei
        Where they are; n.
    profile
        Row of ``profiles`` of each nucleus, shape (n,).
    profiles
        Frequencies of the genes, shape (p, g), rows add to 1.
    dials
        How many transcripts, and what is wrong with them.
    mpp
        Micrometres per pixel.
    rng
        The only source of chance.
    """
    maker = np.repeat(np.arange(len(profile)), drawn_numbers(nuclei.areas, dials, rng))
    maker = maker[rng.random(len(maker)) >= dials.dropout]
    gene = drawn_genes(profile[maker], profiles, rng)
    px = _spilled(nuclei, maker, dials, dials.spill_um / mpp, rng)
    stray = _background(len(maker), profiles[profile], dials.background, rng)
    free = len(stray)
    strewn = rng.poisson(dials.controls / (1 - dials.controls) * (len(maker) + free))
    height, width = nuclei.instances.shape
    px = np.vstack([px, rng.random((free + strewn, 2)) * (width, height)])
    gene = np.concatenate([
        gene, stray, profiles.shape[1] + rng.integers(CONTROLS, size=strewn)
    ])  # fmt: skip
    maker = np.append(maker, np.full(free + strewn, -1))
    lies = _lying(nuclei.instances, px)
    cell = _misassigned(nuclei, lies, dials.misassigned, rng)
    quality = np.where(
        rng.random(len(px)) < dials.low_quality,
        rng.uniform(0, GOOD, len(px)), rng.uniform(GOOD, BEST, len(px)),
    )  # fmt: skip
    order = np.lexsort((px[:, 0], px[:, 1]))
    return SimulatedTranscripts(
        px[order], gene[order], maker[order], lies[order], cell[order], quality[order]
    )


def _background(made: int, profiles: Matrix, share: float, rng: np.random.Generator) -> Indices:
    """Genes of transcripts of no nucleus: half of what the tissue has, half calls of any gene by mistake.

    Of the latter there is at least one for each gene: whoever reads the file sees the whole panel.
    """
    number = rng.poisson(share * made)
    if not (made and share > 0):
        return np.zeros(0, np.int64)
    g = profiles.shape[1]
    calls = max(number // 2, g)
    wrong = np.tile(rng.permutation(g), -(-calls // g))[:calls]
    common = profiles.mean(axis=0, keepdims=True)
    return np.append(drawn_genes(np.zeros(number - number // 2, np.int64), common, rng), wrong)


def _spilled(
    nuclei: Nuclei, maker: Codes, dials: Dials, within_px: float, rng: np.random.Generator
) -> Matrix:
    """Where the transcripts of nuclei lie, some of them in another one or beside."""
    row = maker.copy()
    leaving = np.flatnonzero(rng.random(len(maker)) < dials.spill)
    goal = other_nuclei(nuclei, maker[leaving], rng, within_px=within_px)
    row[leaving[goal >= 0]] = goal[goal >= 0]
    px = places_in(nuclei, row, rng)
    lost = leaving[goal < 0]
    angle, way = rng.uniform(0, 2 * np.pi, len(lost)), rng.uniform(0, within_px, len(lost))
    px[lost] += np.column_stack([np.cos(angle), np.sin(angle)]) * way[:, None]
    height, width = nuclei.instances.shape
    px[lost] = np.clip(px[lost], 0, (np.nextafter(width, 0), np.nextafter(height, 0)))
    return px


def _lying(instances: Instances, px: Matrix) -> Indices:
    x, y = px.astype(np.int64).T
    row: Indices = instances[y, x].astype(np.int64) - 1
    return row


def _misassigned(nuclei: Nuclei, lies: Codes, share: float, rng: np.random.Generator) -> Indices:
    """The nucleus to which each transcript is said to belong."""
    cell = lies.copy()
    wrong = np.flatnonzero((lies >= 0) & (rng.random(len(lies)) < share))
    other = other_nuclei(nuclei, lies[wrong], rng)
    cell[wrong] = np.where(other >= 0, other, lies[wrong])
    return cell
