"""Members of chosen groups, gathered without a loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from triptych.core.protocols import Codes, Indices


class Members(NamedTuple):
    """Members of some groups, one group after the other.

    Attributes
    ----------
    taken
        Which members, shape (m,).
    place
        Which of the chosen groups each of them is in, shape (m,).
    rank
        Of every member there is within its group, shape (n,).
    first
        Where each of the chosen groups begins in ``taken``, shape (g,).
    """

    taken: Indices
    place: Indices
    rank: Indices
    first: Indices


def members_of(group: Codes, chosen: Indices, count: int) -> Members:
    """Members of some groups; a group that is chosen twice comes twice.

    Parameters
    ----------
    group
        Of each member, from 0, in any order; shape (n,).
    chosen
        Groups, shape (g,).
    count
        Number of groups there are.
    """
    order = np.argsort(group, kind="stable")
    size = np.bincount(group, minlength=count)
    start = np.cumsum(size) - size
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(start, size)
    first = np.cumsum(size[chosen]) - size[chosen]
    place = np.repeat(np.arange(len(chosen)), size[chosen])
    taken = order[start[chosen][place] + np.arange(len(place)) - first[place]]
    return Members(taken, place, rank, first)
