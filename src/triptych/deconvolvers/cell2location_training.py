"""The two models of cell2location, trained on the tables that the package takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from triptych.core.extras import need
from triptych.core.protocols import Codes, Matrix
from triptych.core.settings import device
from triptych.deconvolvers.cell2location_posterior import Posterior
from triptych.nets.lightning import quiet, trainer
from triptych.nets.seeding import global_torch_seed

if TYPE_CHECKING:
    from anndata import AnnData

EXTRA: Final = "deconvolution"
CELLS_AT_ONCE: Final = 2500  # the package's own minibatch of the reference


@dataclass(frozen=True, eq=False)
class Session:
    """The package while it is seeded and silent.

    Parameters
    ----------
    library
        cell2location.
    folder
        Takes what might be written, and is removed.
    device
        As torch names it.
    """

    library: ModuleType
    folder: str
    device: str

    def signatures(
        self, cells: sp.csr_matrix, genes: NDArray[np.str_], types: Codes, batch: Codes, *, epochs: int
    ) -> Matrix:
        """Mean expression of each gene in each type by negative binomial regression, shape (t, g).

        Parameters
        ----------
        cells
            Counts, CSR, shape (m, g).
        genes
            Their names, shape (g,).
        types, batch
            Codes of each cell, shape (m,); no type of 0 … t-1 is absent.
        epochs
            Passes over the cells.
        """
        table, cls = _table(cells, genes, types=types, batch=batch), self.library.models.RegressionModel
        cls.setup_anndata(table, batch_key="batch", labels_key="types")
        size = minibatch(len(types), CELLS_AT_ONCE)
        return self._trained(cls(table), table, "per_cluster_mu_fg", epochs, size).mean()

    def abundances(
        self, spots: sp.csr_matrix, genes: NDArray[np.str_], batch: Codes, signatures: Matrix, **settings: Any
    ) -> Posterior:
        """The posterior of the number of cells of each type in each spot, shape (s, t).

        Parameters
        ----------
        spots
            Counts, CSR, shape (s, g).
        genes, batch
            Names, shape (g,), and codes of the spots, shape (s,).
        signatures
            Shape (t, g).
        settings
            ``epochs`` and ``batch_size`` of the training; whatever else the model takes.
        """
        epochs, size = settings.pop("epochs"), settings.pop("batch_size")
        table, cls = _table(spots, genes, batch=batch), self.library.models.Cell2location
        cls.setup_anndata(table, batch_key="batch")
        model = cls(table, pd.DataFrame(signatures.T, index=table.var_names), **settings)
        return self._trained(model, table, "w_sf", epochs, minibatch(len(batch), size))

    def _trained(self, model: Any, table: AnnData, site: str, epochs: int, size: int | None) -> Posterior:
        """Train a model and keep what it learned of one quantity."""
        kind, _, index = self.device.partition(":")
        try:
            model.train(
                max_epochs=epochs,
                batch_size=size,
                accelerator={"cuda": "gpu"}.get(kind, kind),
                device=1 if kind == "cpu" else [int(index or 0)],
                shuffle_set_split=False,  # the library would shuffle by a seed of its own
                **trainer(self.folder, "cell2location", epochs, EXTRA),
            )
            return Posterior.of(model.module.guide, site)
        finally:
            model.deregister_manager(table)  # else the class keeps the counts for as long as Python runs


@contextmanager
def session(seed: int) -> Iterator[Session]:
    """The package, seeded and silent; generators, parameters of pyro and files are as before at the end.

    Parameters
    ----------
    seed
        Below 2³².

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    where = device()
    with ExitStack() as stack:
        library = stack.enter_context(quiet("cell2location", EXTRA))
        stack.enter_context(global_torch_seed(seed, where))
        stack.enter_context(need("pyro", EXTRA).get_param_store().scope())
        folder = stack.enter_context(TemporaryDirectory(prefix="triptych-cell2location-"))
        yield Session(library, folder, where)


def minibatch(n: int, size: int) -> int | None:
    """Rows of a minibatch, at most ``size``; None takes all rows at once.

    The package cannot take one row alone, so no minibatch leaves one over; where each would, it takes all.
    """
    if size == 0 or n <= size:
        return None
    return next((rows for rows in range(size, 1, -1) if n % rows != 1), None)


def _table(counts: sp.csr_matrix, genes: NDArray[np.str_], **codes: Codes) -> AnnData:
    """The form that the package takes."""
    from anndata import AnnData

    rows = pd.Index([str(row) for row in range(counts.shape[0])])
    obs = pd.DataFrame({name: pd.Categorical(values) for name, values in codes.items()}, index=rows)
    return AnnData(counts, obs=obs, var=pd.DataFrame(index=pd.Index(genes)))
