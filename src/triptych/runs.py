"""A whole run, from data on disk to a folder with table, scores, figures and report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from anndata import AnnData

from triptych.core.errors import OutputError, WeightsError
from triptych.core.executors import Executor, Serial
from triptych.core.settings import cache_dir
from triptych.pipeline import applying, output
from triptych.pipeline import run as runner
from triptych.pipeline.cache import Cache
from triptych.pipeline.chain import Chain
from triptych.pipeline.labelling import FOLDER, export
from triptych.pipeline.recipe import Recipe, load
from triptych.pipeline.record import RunRecord
from triptych.pipeline.slide_nuclei import last_segmenter
from triptych.pipeline.study import Study
from triptych.readers.layouts import ReadOptions
from triptych.readers.read import read as read_table
from triptych.report.nuclei_slides import write_nuclei
from triptych.report.overlays import write_slides
from triptych.report.write import write_report
from triptych.tiles.label_store import LabelStore

NO_MODEL: Final = "No model is saved for other sections: "


@dataclass(frozen=True)
class How:
    """What does not change the numbers of a recipe, but how it is run.

    Parameters
    ----------
    per_sample
        Treat each sample as a study of its own.
    cached
        Take finished steps from the cache and keep new ones in it.
    executor
        How samples are mapped.
    """

    per_sample: bool = False
    cached: bool = True
    executor: Executor = field(default_factory=Serial)

    @property
    def cache(self) -> Cache | None:
        """The cache, unless it is not wanted."""
        return Cache(cache_dir()) if self.cached else None


def read(
    data: str | Path, *, samples: Sequence[str] = (), truth: str = "", unlabelled: Sequence[str] | None = None
) -> AnnData:
    """Read a study of any recognised layout.

    Parameters
    ----------
    data
        A file, a folder, a study manifest, ``toy``, ``toy-cells`` or ``toy-crops``.
    samples
        Which samples; all by default.
    truth
        Column of the known labels; the first known name that is there by default.
    unlabelled
        Labels that mean "not labelled"; NA, undetermined, Removed and empty by default.

    Returns
    -------
    One observation per row, see ARCHITECTURE.md for the slots.

    Raises
    ------
    DataError
        With every fault found.
    """
    options = ReadOptions(samples=tuple(samples), truth=truth)
    if unlabelled is not None:
        options = ReadOptions(samples=tuple(samples), truth=truth, unlabelled=tuple(unlabelled))
    return read_table(data, options)


def run(
    recipe: str | Path | Recipe,
    data: str | Path | AnnData,
    *,
    out: str | Path | None = None,
    reading: ReadOptions | None = None,
    changes: Sequence[str] = (),
    seed: int | None = None,
    how: How | None = None,
) -> AnnData:
    """Run a recipe.

    Parameters
    ----------
    recipe
        Name, path, or a recipe.
    data
        Anything `read` takes, or a table it returned, which is then written to in place.
    out
        Folder for table, scores, figures and report; None: only the table comes back.
    reading
        How to read the data.
    changes
        ``TARGET.KEY=VALUE``, e.g. ``fuse.window=7``.
    seed
        Instead of the recipe's own.
    how
        Cache, executor, per sample.

    Returns
    -------
    The table with everything that the recipe wrote; scores in ``uns["triptych"]["scores"]``.

    Raises
    ------
    TriptychError
        See its sub-classes: each says what is wrong, what exists and what to do.
    """
    ready = recipe if isinstance(recipe, Recipe) else load(recipe, changes)
    ready = ready if seed is None else ready.model_copy(update={"seed": seed})
    options = reading or ReadOptions()
    table = data if isinstance(data, AnnData) else read_table(data, options)
    name = "a table in memory" if isinstance(data, AnnData) else str(data)
    finish(ready, table, name, out=Path(out) if out else None, reading=options, how=how or How())
    return table


def finish(
    recipe: Recipe, table: AnnData, name: str, *, out: Path | None, reading: ReadOptions, how: How
) -> RunRecord:
    """Run on a table and fill the folder, if there is one."""
    if out is not None:
        output.claim(out, recipe.name, Study(table).identity)
    record, chain = runner.run(
        recipe, table, data=name, options=_words(reading, how),
        cache=how.cache, executor=how.executor, per_sample=how.per_sample,
    )  # fmt: skip
    if chain.obstacle:
        record.warnings.append(f"{NO_MODEL}{chain.obstacle}")
    if out is not None:
        with output.filling(out) as folder:
            output.write(table, record, chain.recipe, folder)
            if not chain.obstacle:
                chain.save(folder / "model")
            for name, store in record.stores.items():
                export(LabelStore.open(Path(store)), folder / FOLDER / name)
            write_report(table, record, folder)
    return record


def apply(
    model: str | Path,
    data: str | Path | AnnData,
    *,
    out: str | Path | None = None,
    reading: ReadOptions | None = None,
) -> AnnData:
    """Embed and label sections with what a run has learned; nothing is learned from them.

    Parameters
    ----------
    model
        The folder of a run.
    data
        Anything `read` takes, or a table it returned, which is then written to in place.
    out
        Folder for table, scores, figures and report; None: only the table comes back.
    reading
        How to read the data.

    Returns
    -------
    The table with everything that the recipe writes; scores, where labels are known, and the distances
    from the sections of the fit in ``uns["triptych"]``.

    Raises
    ------
    WeightsError
        When the folder holds no fitted model, or a damaged one.
    DataError
        When the data lack what the model reads.
    """
    chain = load_chain(Path(model))
    options = for_chain(reading or ReadOptions(), chain)
    table = data if isinstance(data, AnnData) else read_table(data, options)
    name = "a table in memory" if isinstance(data, AnnData) else str(data)
    place = Path(out) if out else None
    finish_apply(chain, table, name, model=Path(model), out=place, reading=options)
    return table


def for_chain(reading: ReadOptions, chain: Chain) -> ReadOptions:
    """The options, with the side of what the chain's encoders see as the pitch of a slide's patches."""
    sides = [
        float(getattr(link.component, "window_um", 0))
        for link in chain.links
        if link.step.do in {"encode", "predict"}
    ]
    return replace(reading, pitch_um=reading.pitch_um or max(sides, default=0.0))


def finish_apply(
    chain: Chain, table: AnnData, name: str, *, model: Path, out: Path | None, reading: ReadOptions
) -> RunRecord:
    """Apply a chain, which lies in the folder ``model``, to a table and fill the folder, if there is one."""
    if out is not None:
        _claim_beside(model, out, chain.recipe.name, Study(table).identity)
    asked = reading if not table.n_vars else replace(reading, pitch_um=0.0)  # patches are a slide's alone
    words = f"triptych apply {shlex.quote(str(model))} {shlex.quote(name)} {_words(asked, How())}"
    record = applying.apply(chain, table, data=name, command=f"{words.rstrip()} -o again")
    if out is not None:
        with output.filling(out) as folder:
            if last_segmenter(chain) is not None:
                write_nuclei(chain, table, record, folder)
            output.write(table, record, chain.recipe, folder)
            write_report(table, record, folder)
            write_slides(table, record, folder)
    return record


def load_chain(model: Path) -> Chain:
    """The fitted chain of a run.

    Raises
    ------
    WeightsError
        When there is none, and why if the run says so, or a damaged one.
    """
    if (model / output.PROVENANCE).is_file() and not (model / "model").exists():
        told = output.provenance(model).get("warnings", ())
        reasons = [str(one) for one in told if str(one).startswith(NO_MODEL)]
        if reasons:
            raise WeightsError(
                f"The run in {model} left no model. {reasons[0]}",
                "Run it on all sections at once, with components that have a fit.",
            )
    return Chain.load(model)


def _claim_beside(model: Path, out: Path, recipe: str, data_identity: str) -> None:
    """Check that applying may write to ``out``, which must not be the run that it applies.

    Raises
    ------
    OutputError
        When it is, or `triptych.pipeline.output.claim` refuses it.
    """
    run_of = model.resolve().parent if model.name == "model" else model.resolve()
    if out.resolve() in {model.resolve(), run_of}:
        raise OutputError(f"{out} is the run that is applied.", "Choose another folder with -o.")
    output.claim(out, recipe, data_identity)


def _words(reading: ReadOptions, how: How) -> str:
    """The options as the command line takes them, for the report."""
    words = [f"--samples {shlex.quote(','.join(reading.samples))}"] if reading.samples else []
    words += [f"--truth {shlex.quote(reading.truth)}"] if reading.truth else []
    words += [f"--mpp {reading.mpp:g}"] if reading.mpp else []
    words += [f"--pitch-um {reading.pitch_um:g}"] if reading.pitch_um else []
    if reading.unlabelled != ReadOptions().unlabelled:
        words.append(f"--unlabelled {shlex.quote(','.join(reading.unlabelled))}")
    return " ".join([*words, *(["--per-sample"] if how.per_sample else [])])


def rewrite_report(out: Path) -> Path:
    """Write figures and report of a finished run again.

    Raises
    ------
    DataError
        When the folder holds no finished run.
    """
    record = output.read_record(out)
    table = output.read_table(out)
    return write_report(table, record, out)
