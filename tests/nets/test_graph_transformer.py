"""The graph transformer: against loops, and that a spot's numbers follow from its neighbourhood alone."""

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, leaky_relu, silu

from triptych.core.errors import NumericsError
from triptych.core.protocols import Places
from triptych.nets.graph_transformer import WAVES, GraphTransformer, Near, filled, to_arrays, waves
from triptych.nets.graph_transformer_places import around, clumps
from triptych.nets.graph_transformer_shape import Shape
from triptych.nets.graph_transformer_training import Lesson, Settings, near, predict, train

SHAPE = Shape(columns=5, types=3, heads=2, width=4, layers=2, reach_um=300.0)
SETTINGS = Settings(epochs=30, batch=16, lr=1e-2, last_lr=1e-4, decay=0.0, dropout=0.0)


def network(shape=SHAPE, seed=0):
    """With a last layer that does something, as after training."""
    generator = torch.Generator().manual_seed(seed)
    net = GraphTransformer(shape, generator)
    torch.nn.init.normal_(net.leave.weight, generator=generator)
    torch.nn.init.normal_(net.graph.other.bias, generator=generator)
    return net


def spots(n=60, seed=0):
    rng = np.random.default_rng(seed)
    places = Places(rng.uniform(0, 1000, (n, 2)), np.repeat([0, 1], n // 2))
    return places, torch.from_numpy(rng.normal(size=(n, 5)).astype(np.float32))


def by_loop(net, x, places, spot, count):
    """One spot, head by head and neighbour by neighbour."""
    shape, d = net.shape, np.linalg.norm(places.um - places.um[spot], axis=1)
    near_ones = [
        j for j in np.argsort(d) if places.sample[j] == places.sample[spot] and d[j] <= shape.reach_um
    ]
    near_ones = near_ones[: count + 1]
    first, last = net.norms
    h = {j: silu(layer_norm(net.enter(x[j]), (8,), first.weight, first.bias)) for j in near_ones}
    far = {j: waves(torch.tensor(float(d[j])), shape.reach_um) for j in near_ones}
    graph, parts = net.graph, []
    for head in range(shape.heads):
        c = slice(head * shape.width, (head + 1) * shape.width)
        logits = [
            graph.score[head]
            @ leaky_relu(graph.own(h[spot]) + graph.other(h[j]) + graph.distance(far[j]), 0.2)[c]
            for j in near_ones
        ]
        share = torch.stack(logits).softmax(0)
        parts.append(sum(a * graph.other(h[j])[c] for a, j in zip(share, near_ones, strict=True)))
    s = h[spot] + torch.cat(parts)
    for layer in net.layers:
        asked, held, hidden = (
            lambda v, n=norm: layer_norm(v, (8,), n.weight, n.bias) for norm in layer.norms
        )
        q, both, parts = layer.query(asked(s)), {j: layer.both(held(h[j])) for j in near_ones}, []
        for head in range(shape.heads):
            c = slice(head * shape.width, (head + 1) * shape.width)
            logits = [q[c] @ both[j][:8][c] / 2 + layer.distance(far[j])[head] for j in near_ones]
            share = torch.stack(logits).softmax(0)
            parts.append(sum(a * both[j][8:][c] for a, j in zip(share, near_ones, strict=True)))
        s = s + layer.out(torch.cat(parts))
        s = s + layer.back(silu(layer.hidden(hidden(s))))
    return net.leave(layer_norm(s, (8,), last.weight, last.bias))


def test_it_is_the_loop_over_spots_and_heads():
    places, x = spots()
    net = network()
    guess = predict(net, x, around(places, 6, 300.0), np.arange(60))
    with torch.no_grad():
        wanted = torch.stack([by_loop(net, x, places, spot, 6) for spot in range(60)])
    np.testing.assert_allclose(guess, wanted.numpy(), atol=1e-5)


def test_a_spot_is_the_same_alone_with_its_neighbourhood_and_among_others_in_any_order():
    places, x = spots(400)
    net, rng = network(), np.random.default_rng(1)
    whole = predict(net, x, around(places, 6, 300.0), np.arange(400))
    order = rng.permutation(400)
    shuffled = Places(places.um[order], places.sample[order])
    np.testing.assert_allclose(
        predict(net, x[order], around(shuffled, 6, 300.0), np.arange(400)), whole[order], atol=1e-5
    )
    near_all = around(places, 6, 300.0)
    for spot in (0, 17, 399):
        alone = near_all.index[spot][near_all.there[spot]]  # the spot itself is the first
        few = Places(places.um[alone], places.sample[alone])
        mine = predict(net, x[alone], around(few, 6, 300.0), np.array([0]))
        np.testing.assert_allclose(mine[0], whole[spot], atol=1e-5)
        np.testing.assert_allclose(predict(net, x, near_all, np.array([spot]))[0], whole[spot], atol=1e-5)


def test_the_batch_does_not_matter(monkeypatch):
    places, x = spots()
    near_all = around(places, 6, 300.0)
    whole = predict(network(), x, near_all, np.arange(60))
    monkeypatch.setattr("triptych.nets.graph_transformer_training.PART", 7)
    np.testing.assert_allclose(predict(network(), x, near_all, np.arange(60)), whole, atol=1e-5)


def test_neighbours_and_their_distance_matter_and_what_is_not_there_does_not():
    net, x = network(), spots()[1]
    rows = torch.tensor([[0, 1, 2]])
    um, there = torch.tensor([[0.0, 100.0, 200.0]]), torch.tensor([[True, True, False]])
    with torch.no_grad():
        one = net(x, Near(rows, um, there))
        changed = x.clone()
        changed[2] += 5
        torch.testing.assert_close(net(changed, Near(rows, um, there)), one, rtol=0, atol=0)
        changed[1] += 5
        assert (net(changed, Near(rows, um, there)) - one).abs().max() > 1e-3
        assert (net(x, Near(rows, um + torch.tensor([[0, 150.0, 0]]), there)) - one).abs().max() > 1e-4


def test_waves_lie_between_0_and_the_reach():
    found = waves(torch.tensor([0.0, 300.0]), 300.0)
    assert found.shape == (2, WAVES)
    assert found[0].argmax() == 0
    assert found[1].argmax() == WAVES - 1
    assert found.max() == 1


def test_training_begins_at_the_mean_and_learns_from_neighbours():
    places, x = spots(200)
    near_all = around(places, 6, 300.0)
    mean = (x[near_all.index] * near_all.there[..., None]).sum(1) / near_all.there.sum(1, keepdims=True)
    target = (mean[:, :3] * 2).float()
    net = GraphTransformer(SHAPE, torch.Generator().manual_seed(0))
    assert not predict(net, x, near_all, np.arange(200)).any()
    lesson = Lesson(lambda rows: x[rows], near_all, target, clumps(places, np.arange(200), 8))
    seen = []
    train(net, lesson, SETTINGS, torch.Generator().manual_seed(0), stop=30, watch=seen.append)
    error = ((predict(net, x, near_all, np.arange(200)) - target.numpy()) ** 2).mean()
    assert error < 0.2 * float(target.var())
    assert seen == list(range(1, 31))


def test_the_same_seed_gives_the_same_bits_also_with_dropout():
    places, x = spots()
    near_all, results = around(places, 6, 300.0), []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        net = GraphTransformer(SHAPE, generator)
        lesson = Lesson(lambda rows: x[rows], near_all, x[:, :3], clumps(places, np.arange(60), 8))
        train(net, lesson, Settings(3, 16, 1e-2, 1e-4, 1e-4, 0.3), generator, stop=3)
        results.append(predict(net, x, near_all, np.arange(60)))
    np.testing.assert_array_equal(*results)


def test_rows_that_no_clump_holds_teach_nothing():
    places, x = spots()
    near_all, results = around(places, 6, 300.0), []
    for other in (0.0, float("nan")):
        target = x[:, :3].clone()
        target[40:] = other
        generator = torch.Generator().manual_seed(3)
        net = GraphTransformer(SHAPE, generator)
        lesson = Lesson(lambda rows: x[rows], near_all, target, clumps(places, np.arange(40), 8))
        train(net, lesson, SETTINGS, generator, stop=2)
        results.append(predict(net, x, near_all, np.arange(60)))
    np.testing.assert_array_equal(*results)


def test_a_loss_that_is_not_finite_is_an_error():
    places, x = spots()
    lesson = Lesson(
        lambda rows: x[rows] * float("inf"),
        around(places, 6, 300.0),
        x[:, :3],
        clumps(places, np.arange(60), 8),
    )
    with pytest.raises(NumericsError, match="The loss of graph transformer is nan in epoch 1"):
        train(network(), lesson, SETTINGS, torch.Generator().manual_seed(0), stop=1)


def test_weights_come_back_and_others_are_refused():
    places, x = spots()
    net, near_all = network(), around(places, 6, 300.0)
    again = filled(network(seed=1), to_arrays(net))
    every = near(near_all, "cpu")
    torch.testing.assert_close(again(x, every), net(x, every), rtol=0, atol=0)
    with pytest.raises(ValueError, match="do not fit each other"):
        filled(network(Shape(5, 4, 2, 4, 2, 300.0)), to_arrays(net))


@pytest.mark.parametrize("name", ["columns", "types", "heads", "width", "layers"])
def test_sizes_are_at_least_1(name):
    sizes = {"columns": 5, "types": 3, "heads": 2, "width": 4, "layers": 2, "reach_um": 300.0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        Shape(**{**sizes, name: 0})
    with pytest.raises(ValueError, match="radius_um must be above 0, not 0"):
        Shape(**{**sizes, "reach_um": 0.0})
