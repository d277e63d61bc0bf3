"""Seeds: every draw comes from a generator that is passed in, and every generator from a written seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SEED_MAX = 2**31 - 1


def generator(seed: int, key: str) -> np.random.Generator:
    """A generator for one step.

    Parameters
    ----------
    seed
        The recipe's seed.
    key
        Identity of the step (hexadecimal), so that inserting a step does not disturb the others.
    """
    return np.random.default_rng([seed, int(key[:16], 16)])


def seed_from(rng: np.random.Generator) -> int:
    """One integer seed for a library that wants one."""
    return int(rng.integers(SEED_MAX))


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A torch generator on the CPU, seeded from ``rng``; the global state is left alone."""
    import torch

    return torch.Generator().manual_seed(seed_from(rng))
