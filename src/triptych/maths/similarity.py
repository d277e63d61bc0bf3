"""A shift, or a shift with scale and rotation, that many displacements agree upon although some are wrong.

In complex numbers the displacement at z = x + iy is d(z) = b + c (z - z₀), where b is the shift at the mean
place z₀, the real part of c is the scale less 1 and its imaginary part, for small angles, the rotation.
Every displacement, and every pair of them, is a hypothesis; the one with the least

    Σ min(|dᵢ - d(zᵢ)|² / σ², (t / σ)²) + p ln 2n

is fitted again by least squares to the displacements within t of it (Torr and Zisserman 2000,
10.1006/cviu.1999.0832, with all samples drawn, and the penalty of Schwarz 1978 for p parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triptych.core.protocols import Matrix

Complex: TypeAlias = NDArray[np.complex128]
Mask: TypeAlias = NDArray[np.bool_]
Kind: TypeAlias = Literal["shift", "scale", "similarity"]
PARAMETERS: Final[dict[Kind, int]] = {"shift": 2, "scale": 3, "similarity": 4}
LEAST: Final = 3  # displacements from which scale and rotation can be told
ROUNDS: Final = 3  # of fitting and leaving out


@dataclass(frozen=True, eq=False)
class Similarity:
    """What displacements agree upon.

    Parameters
    ----------
    middle
        z₀, a place.
    shift
        b, the displacement there.
    change
        c, the scale less 1 and the rotation in radians.
    used
        Which displacements it was fitted to, shape (n,).
    """

    middle: complex
    shift: complex
    change: complex
    used: Mask

    @property
    def scale(self) -> float:
        """Distance after, of two places whose distance before was 1."""
        return float(abs(1 + self.change))

    def at(self, xy: Matrix) -> NDArray[np.float64]:
        """Displacements at some places, shape (n, 2)."""
        moved = self.shift + self.change * (_complex(xy) - self.middle)
        return np.column_stack([moved.real, moved.imag])


def agreed(xy: Matrix, moved: Matrix, *, noise: float, farthest: float, most_change: float) -> Similarity:
    """The similarity that most displacements agree upon.

    Parameters
    ----------
    xy
        Places, shape (n, 2), n at least 1.
    moved
        Their displacements, shape (n, 2).
    noise
        σ, standard deviation of a displacement that is right.
    farthest
        t, from where on a displacement is wrong.
    most_change
        The largest absolute value of c that is believed.
    """
    z, d = _complex(xy), _complex(moved)
    kinds: tuple[Kind, ...] = ("shift", "scale", "similarity") if len(z) >= LEAST else ("shift",)
    best, least = Similarity(complex(z.mean()), 0j, 0j, np.zeros(len(z), bool)), np.inf
    for kind in kinds:
        found = _refined(kind, z, d, _started(kind, z, d, farthest, most_change), farthest)
        wrong = np.square(np.minimum(abs(d - _at(found, z)), farthest) / noise).sum()
        cost = float(wrong) + PARAMETERS[kind] * np.log(2 * len(z))
        enough = kind == "shift" or found.used.sum() >= LEAST
        if cost < least and enough and abs(found.change) <= most_change:
            best, least = found, cost
    return best


def _started(kind: Kind, z: Complex, d: Complex, farthest: float, most_change: float) -> Similarity:
    """The best hypothesis."""
    i, j = np.triu_indices(len(z), 1) if kind != "shift" else (np.arange(len(z)),) * 2
    apart = z[j] - z[i]
    change = np.divide(d[j] - d[i], apart, out=np.zeros(len(i), complex), where=apart != 0)
    change = change.real.astype(complex) if kind == "scale" else change
    kept = abs(change) <= most_change
    i, j, change = (np.append(one[kept], 0) for one in (i, j, change))  # the last: a shift, if none is kept
    shift = (d[i] + d[j] - change * (z[i] + z[j])) / 2
    misses = abs(d - shift[:, None] - change[:, None] * z)
    first = int(np.square(np.minimum(misses, farthest)).sum(axis=1).argmin())
    return Similarity(0j, complex(shift[first]), complex(change[first]), misses[first] < farthest)


def _refined(kind: Kind, z: Complex, d: Complex, start: Similarity, farthest: float) -> Similarity:
    """Least squares over the displacements that agree, which are looked for again after each fit."""
    found = start
    for _ in range(ROUNDS):
        used = abs(d - _at(found, z)) < farthest
        if not used.any():
            return found
        middle, shift = complex(z[used].mean()), complex(d[used].mean())
        from_middle = z[used] - middle
        spread = float(np.square(abs(from_middle)).sum())
        change = complex(np.vdot(from_middle, d[used] - shift)) / spread if spread > 0 else 0j
        change = {"shift": 0j, "scale": complex(change.real), "similarity": change}[kind]
        found = Similarity(middle, shift, change, used)
    return found


def _at(found: Similarity, z: Complex) -> Complex:
    moved: Complex = found.shift + found.change * (z - found.middle)
    return moved


def _complex(xy: Matrix) -> Complex:
    places = np.asarray(xy, np.float64)
    found: Complex = places[:, 0] + 1j * places[:, 1]
    return found
