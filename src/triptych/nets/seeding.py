"""A place for libraries that draw from global generators: seeded inside, and outside as before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np

_lock = RLock()  # two such libraries at once, in two threads, would draw from each other's sequence


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators of Python and numpy, and give them their states back at the end.

    Parameters
    ----------
    seed
        Below 2³².
    """
    with _lock:
        states = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def global_torch_seed(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch too, with one thread: sums that are split over threads give other bits.

    Parameters
    ----------
    seed
        Below 2³².
    device
        As torch names it; beside the CPU, only this one is seeded.
    """
    import torch

    cards = [torch.device(device)] if device.startswith("cuda") else []
    with global_seed(seed), torch.random.fork_rng(devices=cards):
        threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device
        for card in cards:
            with torch.cuda.device(card):
                torch.cuda.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
