"""Metrics of integration against plain loops, and against scib-metrics where it is installed."""

import math

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.metrics import silhouette_samples

from triptych.maths.neighbours import nearest
from triptych.metrics import registry
from triptych.metrics.kbet import p_values
from triptych.metrics.lisi import lisi


@pytest.fixture
def cells():
    """400 observations in 12 dimensions: 4 labels that overlap, 3 batches of unequal sizes that shift."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 4, 400)
    batch = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    x = rng.normal(size=(400, 12)) + 1.5 * rng.normal(size=(4, 12))[label] + rng.normal(size=(3, 12))[batch]
    return x, label, batch


def neighbours_by_loops(x, k):
    """Lists of (distance, row) of the k nearest, the row itself first."""
    lists = []
    for i in range(len(x)):
        others = sorted((math.dist(x[i], x[j]), j) for j in range(len(x)) if j != i)
        lists.append([(0.0, i), *others[: k - 1]])
    return lists


def lisi_by_loops(lists, codes, perplexity):
    """Bisection on the precision of the weights, one observation at a time."""
    values = []
    for nearby in lists:
        low, high = 0.0, 50.0
        for _ in range(40):
            beta = (low + high) / 2
            weight = [math.exp(-beta * (d - nearby[1][0])) for d, _ in nearby[1:]]
            p = [w / sum(weight) for w in weight]
            entropy = -sum(q * math.log(q) for q in p if q > 0)
            low, high = (beta, high) if entropy > math.log(perplexity) else (low, beta)
        share = {}
        for q, (_, j) in zip(p, nearby[1:], strict=True):
            share[codes[j]] = share.get(codes[j], 0.0) + q
        values.append(1 / sum(s * s for s in share.values()))
    return values


def p_by_loops(lists, codes):
    names, n = sorted(set(codes)), len(codes)
    share = {name: sum(code == name for code in codes) / n for name in names}
    values = []
    for nearby in lists:
        statistic = 0.0
        for name in names:
            seen = sum(codes[j] == name for _, j in nearby)
            wanted = share[name] * len(nearby)
            statistic += (seen - wanted) ** 2 / wanted
        values.append(chi2.sf(statistic, len(names) - 1))
    return values


def reached(start, edges):
    seen, to_do = {start}, [start]
    while to_do:
        for j in edges[to_do.pop()]:
            if j not in seen:
                seen.add(j)
                to_do.append(j)
    return seen


def connectivity_by_loops(lists, codes, connection):
    """Who reaches whom and is reached from there."""
    values = []
    for name in sorted(set(codes)):
        mine = [i for i in range(len(codes)) if codes[i] == name]
        there = {i: [j for _, j in lists[i] if codes[j] == name] for i in mine}
        if connection == "weak":
            for i in mine:
                for j in there[i]:
                    there[j] = [*there[j], i]
        back = {i: [j for j in mine if i in there[j]] for i in mine}
        values.append(max(len(reached(i, there) & reached(i, back)) for i in mine) / len(mine))
    return np.mean(values)


def test_lisi_against_loops(cells):
    x, label, batch = (part[:150] for part in cells)
    lists = neighbours_by_loops(x, 90)
    for codes in (label, batch):
        expected = lisi_by_loops(lists, codes.tolist(), 30)
        assert np.allclose(lisi(nearest(x, 90), codes), expected, rtol=1e-5)
    assert registry.make("clisi").score(x, label) == pytest.approx(
        (4 - np.median(lisi_by_loops(lists, label.tolist(), 30))) / 3, rel=1e-5
    )
    assert registry.make("ilisi").score(x, batch) == pytest.approx(
        (np.median(lisi_by_loops(lists, batch.tolist(), 30)) - 1) / 2, rel=1e-5
    )


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_kbet_against_loops(cells, alpha):
    x, _, batch = cells
    expected = np.array(p_by_loops(neighbours_by_loops(x, 50), batch.tolist()))
    assert np.allclose(p_values(nearest(x, 50), batch), expected, rtol=1e-9, atol=1e-14)
    found = registry.make("kbet", {"alpha": alpha}).score(x, batch)
    assert found == (expected >= alpha).mean()
    assert 0 < found < 1


@pytest.mark.parametrize("connection", ["strong", "weak"])
@pytest.mark.parametrize("k", [3, 6])
def test_connectivity_against_loops(cells, connection, k):
    x, label, _ = (part[:150] for part in cells)
    expected = connectivity_by_loops(neighbours_by_loops(x, k), label.tolist(), connection)
    metric = registry.make("graph-connectivity", {"neighbours": k, "connection": connection})
    assert metric.score(x, label) == pytest.approx(expected)


def test_batch_silhouette_against_scikit_learn(cells):
    x, label, batch = cells
    metric = registry.make("batch-silhouette")
    assert metric.score(x, batch) == pytest.approx(1 - np.abs(silhouette_samples(x, batch)).mean())
    each = [1 - np.abs(silhouette_samples(x[label == c], batch[label == c])).mean() for c in range(4)]
    assert metric.score(x, batch, label) == pytest.approx(np.mean(each))


def test_against_scib_metrics(cells):
    theirs = pytest.importorskip("scib_metrics", reason="scib-metrics is not installed")
    from scib_metrics.nearest_neighbors import NeighborsResults

    x, label, batch = cells
    found = nearest(x, 90)
    given = {k: NeighborsResults(found.subset(k).indices, found.subset(k).distances) for k in (90, 50, 15)}
    expected = {
        "ilisi": (theirs.ilisi_knn(given[90], batch), batch, 1e-4),
        "clisi": (theirs.clisi_knn(given[90], label), label, 1e-4),
        "kbet": (theirs.kbet(given[50], batch)[0], batch, 1e-9),
        "graph-connectivity": (theirs.graph_connectivity(given[15], label), label, 1e-9),
    }
    for name, (value, codes, near) in expected.items():
        assert registry.make(name).score_neighbours(found, codes) == pytest.approx(float(value), abs=near)
    silhouette = float(theirs.silhouette_batch(x, label, batch))
    assert registry.make("batch-silhouette").score(x, batch, label) == pytest.approx(silhouette, abs=1e-4)
