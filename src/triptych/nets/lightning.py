"""Libraries that train with Lightning: silent, seeded by nobody but us, and without a file left behind."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from triptych.core.extras import need
from triptych.core.progress import track
from triptych.nets.seeding import global_seed

LOGGERS: Final = ("scvi", "cell2location", "lightning", "lightning.pytorch", "lightning.fabric")


@contextmanager
def quiet(module: str, extra: str) -> Iterator[ModuleType]:
    """A library, without its logs and warnings, and without what its import does to global generators.

    One thread at a time: filters of warnings and levels of logs are global too.

    Parameters
    ----------
    module, extra
        Its name, and the extra of triptych that installs it.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    with global_seed(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = need(module, extra)
        loggers = [logging.getLogger(name) for name in LOGGERS]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield library
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def trainer(folder: str, label: str, epochs: int, extra: str) -> dict[str, Any]:
    """Arguments of the trainer: no files, no bars, no logs, no global switches; epochs are told to listeners.

    Parameters
    ----------
    folder
        Takes what might be written all the same.
    label
        Of the progress.
    epochs
        How many there will be.
    extra
        The extra of triptych that installs Lightning.
    """
    callbacks = need("lightning.pytorch.callbacks", extra)
    steps = track(range(epochs), label, epochs)
    progress = callbacks.LambdaCallback(
        on_train_epoch_start=lambda _trainer, _module: next(steps),
        on_train_end=lambda _trainer, _module: next(steps, None),
    )
    return {
        "default_root_dir": folder,
        "logger": False,
        "enable_progress_bar": False,
        "benchmark": None,
        "callbacks": [progress],
    }
