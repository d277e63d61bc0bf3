"""Metrics of integration: limits, sharing of neighbours, and what they refuse."""

import numpy as np
import pytest

from triptych.core.errors import DataError
from triptych.maths.neighbours import Neighbours, nearest
from triptych.metrics import neighbourhoods, registry
from triptych.metrics.kbet import p_values
from triptych.metrics.lisi import lisi, weights

MIXING = ("ilisi", "kbet", "batch-silhouette")
NEAR = ("ilisi", "clisi", "kbet", "graph-connectivity")


def groups_apart(rng, n=400, groups=2, apart=50.0):
    codes = np.arange(n) % groups
    return rng.normal(size=(n, 3)) + apart * codes[:, None], codes


@pytest.mark.parametrize("name", MIXING)
def test_mixed_batches_score_high_and_batches_apart_low(name, rng):
    x, codes = groups_apart(rng)
    metric = registry.make(name)
    assert metric.score(x, codes) < 0.05
    assert metric.score(x - 50.0 * codes[:, None], codes) > 0.85


def test_labels_apart_are_pure_and_connected(rng):
    x, codes = groups_apart(rng)
    assert registry.make("clisi").score(x, codes) == pytest.approx(1)
    assert registry.make("graph-connectivity").score(x, codes) > 0.98
    assert registry.make("graph-connectivity", {"connection": "weak"}).score(x, codes) == 1


def test_mixed_labels_are_not_pure(rng):
    x, codes = groups_apart(rng, apart=0.0)
    assert registry.make("clisi").score(x, codes) < 0.1


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_components_of_a_label_in_two_places(rng, share):
    """One label in two places scores its larger share; the other label is whole."""
    n = 400
    label = np.arange(n) % 2
    x = rng.normal(size=(n, 2)) + 100.0 * label[:, None]
    moved = np.flatnonzero(label == 0)[: int(share * n / 2)]
    x[moved] += 1000
    found = registry.make("graph-connectivity", {"connection": "weak"}).score(x, label)
    assert found == pytest.approx((max(share, 1 - share) + 1) / 2)


def test_direction_of_edges():
    """An outlier reaches its label but is not reached: alone when edges have a direction."""
    x = np.append(np.arange(10.0), 100.0)[:, None]
    codes = np.zeros(11, int)
    strong, weak = (
        registry.make("graph-connectivity", {"neighbours": 3, "connection": c}).score(x, codes)
        for c in ("strong", "weak")
    )
    assert strong == pytest.approx(10 / 11)
    assert weak == 1


@pytest.mark.parametrize("name", NEAR)
def test_shared_neighbours_give_the_same_score(name, rng):
    x, codes = rng.normal(size=(300, 10)), rng.integers(0, 3, 300)
    metric, found = registry.make(name), nearest(x, 120)
    assert metric.score_neighbours(found, codes) == metric.score(x, codes)


def test_weights_have_the_perplexity(rng):
    p = weights(rng.gamma(2.0, 10.0 ** rng.uniform(-6, 6, (200, 1)), (200, 89)), 30.0)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(np.exp(entropy), 30, rtol=1e-5)


def test_weights_of_rows_that_coincide():
    """Nothing sharper than an equal share of what lies nearest can be asked for."""
    assert np.allclose(weights(np.zeros((1, 20)), 5.0), 1 / 20)
    assert np.allclose(weights(np.full((1, 20), 3.0), 5.0), 1 / 20)
    p = weights(np.repeat([0.0, 1.0, 2.0], [10, 5, 5])[None], 5.0)
    assert np.allclose(p[0, :10], 0.1)
    assert np.allclose(p[0, 10:], 0)


@pytest.mark.parametrize("kernel", [lisi, p_values])
def test_threads_and_blocks_do_not_change_a_bit(kernel, rng, monkeypatch):
    found, codes, values = nearest(rng.normal(size=(700, 10)), 90), rng.integers(0, 4, 700), set()
    for threads, numbers in ((1, 2**18), (1, 2**12), (3, 2**12)):
        monkeypatch.setattr(neighbourhoods, "threads", lambda threads=threads: threads)
        monkeypatch.setattr(neighbourhoods, "VALUES", numbers)
        values.add(kernel(found, codes).tobytes())
    assert len(values) == 1


def test_faults_of_a_thread_are_raised(monkeypatch):
    monkeypatch.setattr(neighbourhoods, "VALUES", 4)
    with pytest.raises(ZeroDivisionError):
        neighbourhoods.each_block(10, 2, lambda rows: 1 // 0)


def test_weights_of_scales_and_shapes(rng):
    """Many far neighbours, one far neighbour, two distances, equal distances but one."""
    rows = [
        np.r_[0.0, np.full(88, 1e6)],
        np.r_[np.zeros(88), 1e6],
        np.arange(89.0) % 2,
        np.exp(np.arange(89.0)),
    ]
    rows += [10.0 ** rng.uniform(-9, 9, 89), 1 + 1e-9 * np.arange(89.0), 1e-120 * np.arange(89.0)]
    p = weights(np.array(rows), 30.0)
    entropy = np.exp(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1))
    reached = [0, 3, 4, 5, 6]  # where fewer than 30 lie nearest, and distances differ
    assert np.allclose(entropy[reached], 30, rtol=1e-5)
    assert np.allclose(p[1], np.r_[np.full(88, 1 / 88), 0])
    assert np.allclose(p[2], np.where(np.arange(89) % 2, 0, 1 / 45))


def test_which_scores_are_of_mixing():
    found = {
        name: registry.find(name).mixing for name in (*MIXING, "clisi", "graph-connectivity", "silhouette")
    }
    assert found == {name: name in MIXING for name in found}


def test_lisi_counts_groups(rng):
    x, codes = rng.normal(size=(900, 2)), np.arange(900) % 3
    value = lisi(nearest(x, 90), codes)
    assert ((value >= 1 - 1e-12) & (value <= 3 + 1e-12)).all()
    assert np.median(value) > 2.5


def test_labels_of_the_batch_silhouette(rng):
    """Batches that differ only in the shares of labels are mixed within each label."""
    label = np.arange(600) % 3
    batch = (rng.uniform(size=600) < np.array([0.1, 0.5, 0.9])[label]).astype(int)
    x = rng.normal(size=(600, 2)) + 8.0 * np.stack([label, label], axis=1)
    metric = registry.make("batch-silhouette")
    whole, within = metric.score(x, batch), metric.score(x, batch, label)
    parts = [metric.score(x[label == c], batch[label == c]) for c in range(3)]
    assert within == pytest.approx(np.mean(parts))
    assert within > whole + 0.1
    alone = np.where(np.arange(600) < 10, 3, label)  # a label of one batch is left out
    lonely = np.where(alone == 3, 0, batch)
    kept = alone != 3
    assert metric.score(x, lonely, alone) == pytest.approx(metric.score(x[kept], batch[kept], label[kept]))


def test_faults_of_labels_of_the_batch_silhouette(rng):
    metric, x = registry.make("batch-silhouette"), rng.normal(size=(6, 2))
    batch = np.array([0, 0, 0, 1, 1, 1])
    with pytest.raises(DataError) as caught:
        metric.score(x, batch, np.array([0, -1]))
    assert "6 rows but 2 labels" in str(caught.value)
    assert "some labels are missing" in str(caught.value)
    with pytest.raises(DataError, match="no label has more than one batch"):
        metric.score(x, batch, batch)


@pytest.mark.parametrize("name", [*NEAR, "batch-silhouette"])
def test_all_faults_of_a_space_are_told_together(name):
    x = np.array([[np.nan], [0], [1]])
    with pytest.raises(DataError) as caught:
        registry.make(name).score(x, np.array([-1, -1]))
    words = ["some values are not finite", "3 rows but 2 codes", "2 codes are missing", "different codes at"]
    if name in NEAR:
        words.append("neighbours, each observation counting itself, and there are 3 observations")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", NEAR)
def test_all_faults_of_neighbours_are_told_together(name):
    found = Neighbours(np.zeros((3, 2), np.int32), np.zeros((3, 2)))
    with pytest.raises(DataError) as caught:
        registry.make(name).score_neighbours(found, np.array([0, -1]))
    for word in ("and 2 were found", "3 rows but 2 codes", "1 codes are missing"):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", [*MIXING, "clisi"])
def test_one_code_is_refused(name, rng):
    with pytest.raises(DataError, match="it needs 2 different codes at least and there is 1"):
        registry.make(name).score(rng.normal(size=(100, 2)), np.zeros(100, int))


def test_a_vector_is_no_space():
    with pytest.raises(DataError, match=r"the space has shape \(100,\)"):
        registry.make("kbet").score(np.zeros(100), np.arange(100) % 2)


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("ilisi", {"neighbours": 3}, "neighbours must be 4 or more"),
        ("clisi", {"neighbours": 3}, "neighbours must be 4 or more"),
        ("kbet", {"neighbours": 1}, "neighbours must be 2 or more"),
        ("kbet", {"alpha": 1.0}, "alpha must lie between 0 and 1"),
        ("graph-connectivity", {"neighbours": 1}, "neighbours must be 2 or more"),
        ("batch-silhouette", {"block_mb": 0}, "block_mb must be above 0"),
    ],
)
def test_parameters_out_of_range(name, params, words):
    with pytest.raises(ValueError, match=words):
        registry.make(name, params)
