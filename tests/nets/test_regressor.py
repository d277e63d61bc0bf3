"""Several perceptrons as one network, against each of them alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triptych.nets.regressor import Regressors, from_arrays, to_arrays

WIDTHS = (5, 8, 7, 6, 5, 4, 4, 3)


def network(members=3, widths=WIDTHS, seed=0):
    return Regressors(members, widths, torch.Generator().manual_seed(seed))


def test_each_member_is_the_textbook_perceptron():
    nets = network()
    with torch.no_grad():
        for bias in nets.biases:
            bias += torch.randn(bias.shape, generator=torch.Generator().manual_seed(1))
    x = torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(2))
    found = nets(x)
    for member in range(3):
        h = x[member].double().numpy()
        for layer in range(7):
            weight, bias = (
                part[layer][member].detach().double().numpy() for part in (nets.weights, nets.biases)
            )
            h = h @ weight + bias
            if layer < 6:
                h = h / (1 + np.exp(-h))
        np.testing.assert_allclose(found[member].detach().numpy(), h, rtol=1e-4, atol=1e-5)


def test_the_signal_keeps_its_size_through_seven_layers():
    nets = network(members=2, widths=(200,) * 7 + (50,))
    x = torch.randn(2, 100, 200, generator=torch.Generator().manual_seed(0))
    assert 0.3 < nets(x).std().item() < 3


def test_dropout_happens_in_training_alone_and_by_the_generator():
    nets, x = network(), torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(2))
    still = nets(x)
    assert torch.equal(nets(x, dropout=0.5), still)
    drawn = [nets(x, dropout=0.5, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], still)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    nets = network()
    nets(torch.zeros(3, 4, 5), dropout=0.5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_arrays_make_the_same_network_again():
    nets, x = network(), torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(2))
    again = from_arrays(to_arrays(nets))
    assert again.widths == WIDTHS
    assert again.members == 3
    assert torch.equal(again(x), nets(x))


def test_arrays_of_something_else_are_refused():
    arrays = to_arrays(network())
    for broken, told in [
        ({}, "not those of layers"),
        ({name: value for name, value in arrays.items() if name != "weights.3"}, "lacks|fit"),
        (arrays | {"weights.0": arrays["weights.0"][0]}, "not those of layers"),
        (arrays | {"weights.2": arrays["weights.2"][:, :-1]}, "do not fit"),
    ]:
        with pytest.raises(ValueError, match=told):
            from_arrays(broken)
