"""scVI: a variational autoencoder of the counts whose decoder is told the batch, so the code need not be."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from triptych.aligners.scvi_counts import HINT, chosen, of_genes, taken
from triptych.aligners.scvi_fitted import FittedScvi
from triptych.core.models import Fit
from triptych.core.protocols import Array, Codes, Matrix
from triptych.core.randomness import seed_from
from triptych.nets.lightning import quiet, trainer
from triptych.nets.seeding import global_torch_seed

if TYPE_CHECKING:
    from anndata import AnnData

MINIBATCH: Final = 128
LONGEST, DECAY_AT = 400, 20_000  # epochs, rows: the library's own rule


@dataclass(frozen=True)
class Scvi:
    """Counts and batches → a latent space without the batch.

    Parameters
    ----------
    latent
        Dimension of the latent space.
    layers
        Hidden layers of the encoder and of the decoder.
    hidden
        Width of a hidden layer.
    epochs
        Passes over the data; 0 takes the library's own: 400, and fewer beyond 20 000 rows.
    likelihood
        Distribution of the counts: ``nb`` (negative binomial), ``zinb`` (with extra zeros) or ``poisson``.
    hvg
        Number of highly variable genes, ranked in each batch; 0 keeps every gene.
    min_spots
        Genes seen in fewer observations are left out first.

    Notes
    -----
    It reads raw counts, not a view: in a recipe, ``x: "layers:counts"``. It trains on every row, on the
    CPU, with one thread.

    Its encoder sees the counts and not the batch, so rows of batches never seen are encoded as those of the
    fit are. The chosen genes belong to the model. Rows without counts of them are not trained on, as their
    library has no size; the encoder gives all of them the same code, and a warning says how many they are.
    """

    latent: int = 20
    layers: int = 1
    hidden: int = 128
    epochs: int = 0
    likelihood: Literal["nb", "zinb", "poisson"] = "nb"
    hvg: int = 0
    min_spots: int = 0

    takes: ClassVar[Literal["counts"]] = "counts"
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = True
    cite: ClassVar[str] = "10.1038/s41592-018-0229-2"
    extra: ClassVar[tuple[str, str]] = ("scvi", "align")

    def __post_init__(self) -> None:
        if min(self.latent, self.layers, self.hidden) < 1:
            raise ValueError("latent, layers and hidden must be at least 1")
        if self.epochs < 0:
            raise ValueError("epochs must not be negative; 0 takes as many as the library would")
        if self.hvg < 0 or self.min_spots < 0:
            raise ValueError("hvg and min_spots must not be negative; 0 keeps every gene")

    def align(self, x: Array, batch: Codes, rng: np.random.Generator) -> Matrix:
        """Learn the latent space of ``x`` and return its mean at every row.

        Parameters
        ----------
        x
            Raw counts, shape (n, g), CSR or dense.
        batch
            Code of the batch of each row, shape (n,).
        rng
            Seeds the weights, the order of the rows and the draws of the training.

        Returns
        -------
        Shape (n, latent), float32. A single batch gives its latent space.

        Raises
        ------
        DataError
            When values are no counts, rows have no counts, codes are missing, or lengths differ; all
            faults together. Or when the choice of genes leaves none.
        MissingExtraError
            When scvi-tools is not installed.
        """
        return self.fit(x, batch, rng).value

    def fit(self, x: Array, batch: Codes, rng: np.random.Generator) -> Fit[Matrix, FittedScvi]:
        """As `align`, and keep the encoder for rows never seen."""
        counts, faults = taken(x, batch)
        faults.check(counts.shape[0] > 2, f"{counts.shape[0]} rows are too few to train on.")
        faults.raise_if_any(hint=HINT)
        genes = chosen(counts, batch, hvg=self.hvg, min_spots=self.min_spots)
        used, held = of_genes(counts, genes)
        with ExitStack() as stack:
            library = stack.enter_context(quiet("scvi", "align"))
            stack.enter_context(global_torch_seed(seed_from(rng)))
            folder = stack.enter_context(TemporaryDirectory(prefix="triptych-scvi-"))
            latent, encoder = self._trained(library, used[held], batch[held], folder)
        model = FittedScvi.of(counts.shape[1], genes, encoder)
        value = np.empty((len(held), self.latent), np.float32)
        value[held], value[~held] = latent, model.encoded(used[~held])
        return Fit(value, model)

    def restore(self, folder: Path) -> FittedScvi:
        """Read a model that was saved."""
        return FittedScvi.load(folder)

    def _trained(
        self, library: ModuleType, counts: sp.csr_matrix, batch: Codes, folder: str
    ) -> tuple[Matrix, Any]:
        """Train in silence: the codes and the encoder; what the library might write goes to ``folder``."""
        table, cls = _table(counts, batch), library.model.SCVI
        cls.setup_anndata(table, batch_key="batch")
        model = cls(
            table,
            n_latent=self.latent,
            n_layers=self.layers,
            n_hidden=self.hidden,
            gene_likelihood=self.likelihood,
        )
        epochs = self.epochs or max(1, min(LONGEST, round(LONGEST * DECAY_AT / len(batch))))
        try:
            model.train(
                max_epochs=epochs, **_training(len(batch)), **trainer(folder, "scvi", epochs, "align")
            )
            return np.asarray(model.get_latent_representation(), np.float32), model.module.z_encoder
        finally:
            model.deregister_manager(table)  # else the class keeps the counts for as long as Python runs


def _table(counts: sp.csr_matrix, batch: Codes) -> AnnData:
    """The form that the library takes."""
    from anndata import AnnData

    names = pd.Index([str(row) for row in range(len(batch))])
    return AnnData(counts, obs=pd.DataFrame({"batch": pd.Categorical(batch)}, index=names))


def _training(n: int) -> dict[str, Any]:
    """Every row in minibatches of at most 128, none of one or two rows: their variance would be no use."""
    size = next(size for size in range(MINIBATCH, 2, -1) if n % size == 0 or n % size > 2)
    return {
        "train_size": 1.0,
        "shuffle_set_split": False,
        "batch_size": size,
        "accelerator": "cpu",
        "devices": 1,
    }
