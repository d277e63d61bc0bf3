"""Pathways: how active each is in each group, from the genes that it moves."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, ClassVar, Final, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, ttest_ind_from_stats

from triptych.analyses import networks
from triptych.analyses.groups import NOTE, Groups, given, grouped
from triptych.core.analysis import Material
from triptych.core.checks import Faults, listing
from triptych.core.errors import DataError, NumericsError, TriptychWarning
from triptych.core.extras import need
from triptych.core.protocols import Matrix
from triptych.maths.counts import checked, detected_in, logged, normalised
from triptych.maths.threads import one_thread

AT_ONCE: Final = 2**24  # values of a dense block: 128 MiB
_alone = Lock()  # numba's threads, which decoupler uses, may not be started from two threads at once


@dataclass(frozen=True)
class Pathways:
    """Activity of pathways in each observation, compared between each group and the rest.

    In every observation the log-normalised expression of all genes is regressed on the weights that a network
    gives them, y = β₀ + β₁w + ε; the activity is the t-value of β₁ (Badia-i-Mompel et al. 2022).

    Parameters
    ----------
    network
        Path of a table (.csv, .tsv, .txt) with the columns ``source`` (the pathway), ``target`` (the gene),
        ``weight`` and, optionally, ``p_value`` or ``padj``. triptych ships none.
        ``decoupler.op.progeny(organism="human").to_csv("progeny.csv")`` writes that of PROGENy.
    method
        ``ulm`` fits one pathway at a time, ``mlm`` all of them together.
    top_targets
        Targets per pathway: those with the lowest p-value, or, in a file without, with the largest absolute
        weight; 0 keeps all.
    min_targets
        A pathway with fewer targets among the genes that are seen is left out.
    target_sum
        Total of each observation after normalising; None takes the median of the totals above zero.
    """

    network: str = ""
    method: Literal["ulm", "mlm"] = "ulm"
    top_targets: int = 0
    min_targets: int = 5
    target_sum: float | None = None

    takes: ClassVar[frozenset[str]] = frozenset({"counts"})
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "10.1093/bioadv/vbac016"
    extra: ClassVar[tuple[str, str]] = ("decoupler", "analyses")

    def __post_init__(self) -> None:
        if not self.network:
            raise ValueError(
                f"network must name a file with the columns {', '.join(networks.NEEDED)}. {networks.HOW}"
            )
        if self.top_targets < 0:
            raise ValueError("top_targets must not be negative; 0 keeps all")
        if self.min_targets < 1:
            raise ValueError("min_targets must be at least 1")
        if self.target_sum is not None and not self.target_sum > 0:
            raise ValueError("target_sum must be above 0, or null for the median")

    def fingerprint(self) -> str:
        """The sha256 of the network's file, part of the identity of what is made with it.

        Raises
        ------
        WeightsError
            When there is no such file, or it cannot be read.
        """
        return networks.fingerprint(self.network)

    def analyse(self, material: Material, rng: np.random.Generator) -> pd.DataFrame:
        """Compare the activity of each pathway between each group and the rest.

        Parameters
        ----------
        material
            Labels and counts. Observations without labels, or with one value for all genes, such as
            none, take part in nothing.
        rng
            Not used.

        Returns
        -------
        One row per group and pathway: ``group``, ``pathway``, ``activity`` (mean t-value over the group),
        ``difference`` (from the mean over the rest), ``statistic`` and ``pvalue`` (Welch's t-test of the
        activities of the observations), ``padj`` (Benjamini and Hochberg over the pathways of the group),
        ``targets_found`` and ``n`` (members of the group). ``attrs["note"]`` says what p-values are worth.

        Warns
        -----
        TriptychWarning
            When pathways have too few targets, or a group has one member, and are left out.

        Raises
        ------
        DataError
            When material or network cannot be used, or they do not go together.
        WeightsError
            When there is no such file.
        MissingExtraError
            When decoupler is not installed.
        """
        network = networks.read_network(self.network)
        counts = given("pathways", material)
        x = logged(normalised(checked(counts.matrix), self.target_sum))
        columns = np.flatnonzero(detected_in(x) > 0)
        x, genes = x[:, columns], counts.genes[columns].astype(str)
        groups = grouped("pathways", _without(material, varied(x)))
        edges = self._edges(network, genes)
        scores = self._scores(x[groups.rows], genes, edges)
        table = _compared(scores, groups)
        table["targets_found"] = table["pathway"].map(edges["source"].value_counts())
        table["n"] = table["group"].map(dict(zip(groups.names, groups.sizes, strict=True)))
        table.attrs["note"] = NOTE
        return table

    def _edges(self, network: networks.Network, genes: NDArray[np.str_]) -> pd.DataFrame:
        """The part of the network that can be used with the genes."""
        names, times = np.unique(genes, return_counts=True)
        if (times > 1).any():
            raise DataError(
                f"pathways: gene names occur more than once: {listing(names[times > 1])}.",
                "Make them unique: sum the counts of the same gene.",
            )
        found, left = network.top(self.top_targets).within(genes, self.min_targets)
        if left:
            warnings.warn(
                f"pathways: fewer than {self.min_targets} targets were found and nothing is said of: "
                f"{listing(left)}.",
                TriptychWarning,
                stacklevel=3,
            )
        _check_weights(found.edges, len(genes))
        if self.method == "mlm":
            _check_rank(found.edges, len(genes))
        return found.edges

    def _scores(self, x: sp.csr_matrix, genes: NDArray[np.str_], edges: pd.DataFrame) -> pd.DataFrame:
        """The t-value of each pathway in each observation, by decoupler, one dense block at a time."""
        from anndata import AnnData

        library = need("decoupler", "analyses")
        rows = pd.Index(np.arange(x.shape[0]).astype(str))
        table = AnnData(x, obs=pd.DataFrame(index=rows), var=pd.DataFrame(index=pd.Index(genes)))
        block = max(1, AT_ONCE // len(genes))
        with _alone, one_thread():
            getattr(library.mt, self.method)(
                table, edges[list(networks.NEEDED)], tmin=self.min_targets, empty=False, bsize=block
            )
        scores: pd.DataFrame = table.obsm[f"score_{self.method}"]
        wrong = [str(name) for name in scores if not np.isfinite(scores[name]).all()]
        if wrong:
            raise NumericsError(
                f"pathways: activities are not finite: {listing(wrong)}.", "Leave them out of the network."
            )
        return scores


def varied(x: sp.csr_matrix) -> NDArray[np.bool_]:
    """Which rows hold different values, zeros included, shape (n,)."""
    return np.asarray(x.max(axis=1).toarray() > x.min(axis=1).toarray()).ravel()


def _without(material: Material, kept: NDArray[np.bool_]) -> Material:
    """Labels only of the observations that are kept."""
    return replace(material, labels=np.where(kept, material.labels, -1))


def _check_weights(edges: pd.DataFrame, genes: int) -> None:
    """Refuse pathways whose weight is the same for every gene, on which nothing can be regressed."""
    weights = edges.groupby("source")["weight"].agg(["nunique", "size", "first"])
    same = (weights["nunique"] == 1) & ((weights["size"] == genes) | (weights["first"] == 0))
    if same.any():
        raise DataError(
            f"pathways: every gene has the same weight in: {listing(map(str, weights.index[same]))}.",
            "Leave them out of the network.",
        )


def _check_rank(edges: pd.DataFrame, genes: int) -> None:
    """Refuse pathways that one model cannot tell apart."""
    weights = edges.pivot_table(index="target", columns="source", values="weight", fill_value=0.0)
    faults, pathways = Faults("pathways"), weights.shape[1]
    faults.check(genes > pathways + 1, f"{genes} genes are too few for a model of {pathways} pathways.")
    # A gene that is no target has a row of zeros beside the intercept.
    design = np.column_stack([np.ones(len(weights)), weights.to_numpy()])
    design = np.vstack([design, np.eye(1, pathways + 1)]) if genes > len(weights) else design
    rank = int(np.linalg.matrix_rank(design))
    faults.check(
        rank == pathways + 1,
        f"the weights of {pathways} pathways depend on one another: their rank is {rank - 1}.",
    )
    faults.raise_if_any(hint="Use method: ulm, which fits one pathway at a time, or give fewer pathways.")


def _compared(scores: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """Welch's t-test of the activities of each group against the rest."""
    values = scores.to_numpy(np.float64)
    inside, outside = groups.means(values)
    centre = values.mean(axis=0)  # taken off before squaring, so that no digits are lost
    spread_in, spread_out = groups.means((values - centre) ** 2)
    size = groups.sizes[:, None]
    rest = len(values) - size
    test = ttest_ind_from_stats(
        inside, _deviation(spread_in, inside - centre, size), size,
        outside, _deviation(spread_out, outside - centre, rest), rest, equal_var=False,
    )  # fmt: skip
    statistic, pvalue = np.nan_to_num(test.statistic), np.nan_to_num(test.pvalue, nan=1.0)
    columns: dict[str, Any] = {
        "activity": inside, "difference": inside - outside, "statistic": statistic, "pvalue": pvalue,
        "padj": false_discovery_control(pvalue, axis=1),
    }  # fmt: skip
    k, p = inside.shape
    return pd.DataFrame(
        {
            "group": np.repeat(np.array(groups.names, dtype=object), p),
            "pathway": np.tile(scores.columns.to_numpy(str).astype(object), k),
            **{name: value.ravel() for name, value in columns.items()},
        }
    )


def _deviation(squares: Matrix, shift: Matrix, size: NDArray[np.integer[Any]]) -> Matrix:
    """Unbiased standard deviation from the mean square and the mean of centred values."""
    return np.asarray(np.sqrt(np.maximum(squares - shift**2, 0) * size / (size - 1)))
