"""Which true and found nuclei share pixels: all that scores of nuclei need, image by image, in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError
from triptych.core.nuclei import Overlaps
from triptych.core.protocols import Indices
from triptych.maths.group_members import members_of
from triptych.maths.label_runs import Labelled, Runs, Side, check_labels, runs_of, side_of

COLUMNS: Final = {
    "truth": ("image", "area", "type", "x_um", "y_um"),
    "guess": ("image", "area", "type", "x_um", "y_um"),
    "pairs": ("truth", "guess", "area"),
}
NAMES: Final = ("classes", "organs", "samples", "seen")


class OverlapsBuilder:
    """Overlaps that grow image by image; of an image nothing is kept but a few numbers for each nucleus.

    A label image is 0 in the background, else the number of a nucleus; numbers may have gaps. Types are told
    by number: that of the nucleus i stands at i - 1, -1 = unknown; None where nobody knows any.

    Pixels that are to be ignored count for neither side: areas and centroids are of the rest. A nucleus, true
    or found, that has more than half of its pixels there is left out.

    Parameters
    ----------
    classes
        Names of the types.
    mpp
        µm per pixel of every image.
    """

    def __init__(self, classes: Sequence[str], mpp: float) -> None:
        self.classes = tuple(classes)
        self.mpp = mpp
        self._names: dict[str, list[str]] = {"organs": [], "samples": []}
        self._seen: list[bool] = []
        self._rows = {"truth": 0, "guess": 0}
        self._parts: dict[str, list[NDArray[Any]]] = {
            f"{table}.{column}": [] for table, columns in COLUMNS.items() for column in columns
        }

    def add(
        self, truth: Labelled, guess: Labelled, *, organ: str = "", sample: str = "",
        ignore: NDArray[np.bool_] | None = None, seen: bool = False,
    ) -> None:  # fmt: skip
        """Add an image.

        Parameters
        ----------
        truth, guess
            Label image, shape (h, w), and the types of its nuclei by number, shape (at least the largest
            number,), or None.
        organ, sample
            Of the image.
        ignore
            Where nothing is known, shape (h, w).
        seen
            Whether the organ was one of those of the fit.

        Raises
        ------
        DataError
            When shapes differ, numbers are negative or not whole, or a nucleus has no type of those named.
        """
        where = f"image {len(self._names['organs'])}"
        check_labels(where, truth, guess, ignore, len(self.classes))
        runs = runs_of(truth[0], guess[0], ignore)
        sides = {
            "truth": side_of(runs, runs.truth, truth[1]),
            "guess": side_of(runs, runs.guess, guess[1]),
        }
        self._keep_pairs(runs, sides)
        for name, side in sides.items():
            self._keep_side(name, side)
        self._names["organs"].append(organ)
        self._names["samples"].append(sample)
        self._seen.append(seen)

    def done(self) -> Overlaps:
        """All images that were added."""
        held = {
            key: np.concatenate(parts) if parts else np.empty(0, _kind(key))
            for key, parts in self._parts.items()
        }
        names = {key: np.array(texts, np.str_) for key, texts in self._names.items()}
        seen = np.array(self._seen, np.bool_)
        return from_arrays({"classes": np.array(self.classes, np.str_), **names, "seen": seen, **held})

    def _keep_side(self, name: str, side: Side) -> None:
        image = len(self._names["organs"])
        columns = {
            "image": np.full(len(side.area), image, np.int64), "area": side.area, "type": side.type,
            "x_um": side.x_px * self.mpp, "y_um": side.y_px * self.mpp,
        }  # fmt: skip
        for column, values in columns.items():
            self._parts[f"{name}.{column}"].append(values)
        self._rows[name] += len(side.area)

    def _keep_pairs(self, runs: Runs, sides: Mapping[str, Side]) -> None:
        truth, guess = sides["truth"].row, sides["guess"].row
        both = (truth >= 0) & (guess >= 0) & ~runs.ignored
        found = max(len(sides["guess"].area), 1)
        code, place = np.unique(truth[both] * found + guess[both], return_inverse=True)
        area = np.bincount(place.ravel(), runs.length[both], len(code)).astype(np.int64)
        self._parts["pairs.truth"].append(code // found + self._rows["truth"])
        self._parts["pairs.guess"].append(code % found + self._rows["guess"])
        self._parts["pairs.area"].append(area)


def overlaps_of(
    truth: Sequence[Labelled], guess: Sequence[Labelled], *, classes: Sequence[str], organs: Sequence[str],
    samples: Sequence[str], mpp: float, ignore: Sequence[NDArray[np.bool_]] | None = None,
) -> Overlaps:  # fmt: skip
    """Overlaps of some images, of organs that no fit has seen, see `OverlapsBuilder`.

    Parameters
    ----------
    truth, guess
        Label image and types by number of each image.
    classes
        Names of the types.
    organs, samples
        Of each image.
    mpp
        µm per pixel.
    ignore
        Map of each image, shape (h, w); None: nothing is ignored.

    Raises
    ------
    DataError
        When there are not as many of each, or an image is not as `OverlapsBuilder.add` needs it.
    """
    given = {"true": truth, "found": guess, "organs of": organs, "samples of": samples}
    sizes = {name: len(some) for name, some in given.items()}
    if ignore is not None:
        sizes["ignore maps of"] = len(ignore)
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"There are {listing(f'{name} images: {n}' for name, n in sizes.items())}.",
            "Give as many of each.",
        )
    builder = OverlapsBuilder(classes, mpp)
    for i in range(len(truth)):
        masked = None if ignore is None else ignore[i]
        builder.add(truth[i], guess[i], organ=organs[i], sample=samples[i], ignore=masked)
    return builder.done()


def of_images(overlaps: Overlaps, rows: Indices) -> Overlaps:
    """Some images, in the order given; one that is named twice is two images.

    Parameters
    ----------
    overlaps
        Of some images.
    rows
        Which of them, shape (i,).
    """
    rows = np.asarray(rows, np.int64)
    count = len(overlaps.organs)
    old = {"truth": overlaps.truth, "guess": overlaps.guess}
    nuclei = {name: members_of(table["image"], rows, count) for name, table in old.items()}
    new = {
        name: {key: values[nuclei[name].taken] for key, values in table.items()}
        | {"image": nuclei[name].place}
        for name, table in old.items()
    }
    both = members_of(overlaps.truth["image"][overlaps.pairs["truth"]], rows, count)
    pairs = {"area": overlaps.pairs["area"][both.taken]} | {
        name: of.rank[overlaps.pairs[name][both.taken]] + of.first[both.place] for name, of in nuclei.items()
    }
    images = (overlaps.organs[rows], overlaps.samples[rows], overlaps.seen[rows])
    return Overlaps(overlaps.classes, *images, truth=new["truth"], guess=new["guess"], pairs=pairs)


def of_truth(overlaps: Overlaps) -> Overlaps:
    """The same images, as if what is true had been found as it is."""
    truth = overlaps.truth
    rows = np.arange(len(truth["area"]))
    return replace(
        overlaps, guess=truth, pairs={"truth": rows, "guess": rows, "area": np.asarray(truth["area"])}
    )


def with_classes(overlaps: Overlaps, classes: Sequence[str]) -> Overlaps:
    """The same with types as codes of other names, among which all that were used must be.

    Parameters
    ----------
    overlaps
        Of some images.
    classes
        Names of the types.
    """
    code = np.array([classes.index(name) for name in overlaps.classes] + [-1], np.int64)
    truth, guess = ({**side, "type": code[side["type"]]} for side in (overlaps.truth, overlaps.guess))
    return replace(overlaps, classes=tuple(classes), truth=truth, guess=guess)


def joined(parts: Sequence[Overlaps]) -> Overlaps:
    """The images of all parts, in their order.

    Parameters
    ----------
    parts
        At least one, all of the same classes.

    Raises
    ------
    DataError
        When there is none, or their classes differ.
    """
    if not parts:
        raise DataError("There are no overlaps to join.", "Segment some tiles of known labels.")
    if len({part.classes for part in parts}) > 1:
        named = "; ".join(sorted({", ".join(part.classes) or "none" for part in parts}))
        raise DataError(f"Overlaps of other classes cannot be joined: {named}.", "Use one set of classes.")
    arrays = [as_arrays(part) for part in parts]
    held = {key: np.concatenate([one[key] for one in arrays]) for key in arrays[0] if key != "classes"}
    for key, of in (
        ("truth.image", "organs"), ("guess.image", "organs"),
        ("pairs.truth", "truth.image"), ("pairs.guess", "guess.image"),
    ):  # fmt: skip
        before = np.cumsum([0, *(len(one[of]) for one in arrays[:-1])])
        held[key] = held[key] + np.repeat(before, [len(one[key]) for one in arrays])
    return from_arrays({"classes": arrays[0]["classes"], **held})


def as_arrays(overlaps: Overlaps) -> dict[str, NDArray[Any]]:
    """Flat arrays by name, text of fixed width, for the cache and for ``uns``."""
    names = {
        "classes": np.array(overlaps.classes, np.str_), "organs": np.asarray(overlaps.organs, np.str_),
        "samples": np.asarray(overlaps.samples, np.str_), "seen": np.asarray(overlaps.seen, np.bool_),
    }  # fmt: skip
    return names | {
        f"{table}.{column}": np.asarray(getattr(overlaps, table)[column])
        for table, columns in COLUMNS.items() for column in columns
    }  # fmt: skip


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Overlaps:
    """The overlaps that `as_arrays` took apart.

    Raises
    ------
    DataError
        When arrays are missing, or some that belong together differ in length.
    """
    faults = Faults("overlaps")
    wanted = [*NAMES, *(f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns)]
    lacking = [key for key in wanted if key not in arrays]
    if faults.check(not lacking, f"there is no {listing(lacking)}."):
        for table, columns in {"": NAMES[1:], **COLUMNS}.items():
            keys = [f"{table}.{column}" if table else column for column in columns]
            sizes = [len(arrays[key]) for key in keys]
            told = ", ".join(f"{key}: {size}" for key, size in zip(keys, sizes, strict=True))
            faults.check(len(set(sizes)) == 1, f"lengths differ ({told}).")
    faults.raise_if_any(hint="Segment again.")
    tables = {
        table: {column: np.asarray(arrays[f"{table}.{column}"]) for column in columns}
        for table, columns in COLUMNS.items()
    }
    organs, samples = (np.asarray(arrays[key]).astype(np.str_) for key in ("organs", "samples"))
    classes = tuple(str(name) for name in arrays["classes"])
    return Overlaps(classes, organs, samples, np.asarray(arrays["seen"], np.bool_), **tables)


def _kind(key: str) -> type:
    return np.float64 if key.endswith("_um") else np.int64
