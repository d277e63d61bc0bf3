"""Autoencoders: inputs against numpy, layers against formulas, training against what it must bring."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from triptych.core.errors import NumericsError
from triptych.core.progress import listening
from triptych.nets import autoencoder
from triptych.nets.autoencoder import Coder, Settings, encode, fit_autoencoder, from_arrays, to_arrays
from triptych.nets.autoencoder_inputs import Inputs, moments, scaled, unit_scale


def settings(**changes):
    given = {
        "hidden": (16, 24), "latent": 3, "corruption": 0.2, "pretraining": 1, "epochs": 1, "least_steps": 30,
        "batch": 32, "optimiser": "adam", "lr": 3e-3,
    }  # fmt: skip
    return Settings(**(given | changes))


def ready(x, **changes):
    mean, deviation = moments((x,))
    given = {"weight": np.ones(x.shape[1]), "standardise": True, "clip": 0.0} | changes
    return scaled((x,), mean, deviation, **given)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x(rng):
    return rng.normal(size=(150, 3)) @ rng.normal(size=(3, 12)) + 0.05 * rng.normal(size=(150, 12)) + 4


@pytest.fixture
def sparse(rng):
    return sp.random(9000, 7, 0.2, format="csr", random_state=1)


def test_moments_are_those_of_numpy_for_dense_and_sparse_beside_each_other(sparse, rng):
    dense = rng.normal(1e6, 2, size=(9000, 2))
    whole = np.hstack([dense, sparse.toarray()])
    mean, deviation = moments((dense, sparse))
    assert np.allclose(mean, whole.mean(axis=0))
    assert np.allclose(deviation, whole.std(axis=0), rtol=1e-9)


def test_a_constant_column_has_deviation_0_and_becomes_0(x):
    x[:, 3] = 0.1
    assert moments((x,))[1][3] == 0
    assert not ready(x).take(slice(None))[:, 3].any()


def test_inputs_are_standardised_clipped_and_weighted(x):
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    weight = np.linspace(0, 2, 12)
    found = ready(x, weight=weight, clip=1.5).take(np.array([7, 3]))
    assert found.dtype == np.float32
    expected = np.clip(z, -1.5, 1.5)[[7, 3]] * weight * np.sqrt(12 / (weight**2).sum())
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("standardise", [True, False])
def test_the_mean_square_of_the_inputs_is_1(x, standardise):
    found = ready(x * np.linspace(1, 9, 12), standardise=standardise).take(slice(None))
    assert np.square(found).mean() == pytest.approx(1, abs=1e-5)
    assert np.allclose(found.mean(axis=0), 0, atol=1e-5)


def test_without_standardising_columns_keep_their_proportions(x):
    ratio = ready(x, standardise=False).take(slice(None)) / (x - x.mean(axis=0))
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-3)


def test_nothing_that_varies_gives_zeros():
    assert not unit_scale(np.zeros(3), np.ones(3)).any()


def test_a_sparse_view_gives_what_the_same_dense_one_gives(sparse):
    rows = np.array([8999, 5, 5])
    assert np.array_equal(ready(sparse).take(rows), ready(sparse.toarray()).take(rows))


def test_a_coder_is_linear_layers_with_relu_between(rng):
    coder = Coder((4, 5, 3), generator())
    x = rng.normal(size=(6, 4)).astype(np.float32)
    (w0, w1), (b0, b1) = ([p.detach().numpy() for p in part] for part in (coder.weights, coder.biases))
    hidden = np.maximum(x @ w0 + b0, 0)
    with torch.no_grad():
        assert np.allclose(coder(torch.from_numpy(x)), hidden @ w1 + b1, atol=1e-6)
        assert np.allclose(coder(torch.from_numpy(x), 1), hidden, atol=1e-6)
        assert np.array_equal(coder(torch.from_numpy(x), 0), x)


def test_it_reconstructs_what_lies_in_few_dimensions(x):
    losses = fit_autoencoder(ready(x), settings(least_steps=100), generator())[2]
    assert losses[-1] < 0.2  # of inputs with mean square 1; the noise leaves 0.001


def test_each_layer_is_taught_with_the_layers_below_unchanged(x, monkeypatch):
    moved, train = [], autoencoder.train

    def watched(optimiser, step, n, **given):
        before = [p.detach().clone() for coder in built for p in coder.parameters()]
        history = train(optimiser, step, n, **given)
        after = [p.detach() for coder in built for p in coder.parameters()]
        moved.append([not torch.equal(a, b) for a, b in zip(before, after, strict=True)])
        return history

    built = []
    make = autoencoder.Coder
    monkeypatch.setattr(autoencoder, "Coder", lambda *given: built.append(make(*given)) or built[-1])
    monkeypatch.setattr(autoencoder, "train", watched)
    fit_autoencoder(ready(x), settings(), generator())
    # weights 0, 1, 2 and biases 0, 1, 2 of the encoder, then of the decoder, which counts from the code
    for layer in range(3):
        assert moved[layer][:6] == [layer == at for _ in range(2) for at in range(3)]
        assert moved[layer][6:] == [2 - layer == at for _ in range(2) for at in range(3)]
    assert all(moved[3])


def test_without_pretraining_all_layers_are_trained_once(x, monkeypatch):
    labels = []
    train = autoencoder.train
    monkeypatch.setattr(
        autoencoder, "train", lambda *a, **given: labels.append(given["label"]) or train(*a, **given)
    )
    fit_autoencoder(ready(x), settings(pretraining=0), generator(), label="plain")
    fit_autoencoder(ready(x), settings(), generator(), label="stack")
    assert labels == ["plain", "stack, layer 1", "stack, layer 2", "stack, layer 3", "stack"]


def test_teaching_layers_helps_a_short_fine_tuning(x):
    short = {"least_steps": 60, "lr": 1e-3}
    taught = fit_autoencoder(ready(x), settings(**short), generator())[2]
    plain = fit_autoencoder(ready(x), settings(pretraining=0, **short), generator())[2]
    assert taught[-1] < plain[-1]


@pytest.mark.parametrize(("n", "least", "epochs"), [(320, 0, 2), (320, 100, 10), (320, 101, 11), (5, 9, 9)])
def test_small_studies_are_trained_for_a_least_number_of_steps(n, least, epochs):
    assert settings(least_steps=least).passes(2, n) == epochs
    assert settings(least_steps=least).passes(0, n) == 0


def test_the_same_seed_gives_the_same_bits_and_another_does_not(x):
    one, two, other = (
        to_arrays(fit_autoencoder(ready(x), settings(), generator(seed))[0]) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["weights.0"], other["weights.0"])


def test_the_canonical_optimiser_trains_too(x):
    losses = fit_autoencoder(ready(x), settings(optimiser="sgd", lr=0.1), generator())[2]
    assert losses[-1] < losses[0]


def test_divergence_is_an_error(x):
    with pytest.raises(NumericsError, match="The loss of autoencoder, layer 1 is"):
        fit_autoencoder(ready(x), settings(optimiser="sgd", lr=1e6), generator())


def test_progress_is_told(x):
    told = set()
    with listening(lambda label, _done, _total: told.add(label)):
        encode(fit_autoencoder(ready(x), settings(), generator())[0], ready(x))
    assert told == {"autoencoder", *(f"autoencoder, layer {n}" for n in (1, 2, 3)), "encoding"}


def test_the_code_of_a_row_does_not_depend_on_the_others(x):
    encoder, inputs = Coder((12, 16, 3), generator()).requires_grad_(requires_grad=False), ready(x)
    many = Inputs((np.repeat(x, 9, axis=0),), inputs.mean, inputs.deviation, inputs.factor, 0.0)
    assert np.array_equal(np.repeat(encode(encoder, inputs), 9, axis=0), encode(encoder, many))


def test_arrays_make_the_same_coder():
    coder = Coder((4, 5, 3), generator())
    again = from_arrays(to_arrays(coder))
    x = torch.ones((2, 4))
    assert torch.equal(coder(x), again(x))


@pytest.mark.parametrize(
    "change", [{"biases.0": np.zeros(4, np.float32)}, {"weights.1": np.zeros((2, 2))}, {}]
)
def test_arrays_that_do_not_fit_each_other_are_refused(change):
    network = to_arrays(Coder((4, 5, 3), generator())) | change if change else {}
    with pytest.raises(ValueError, match="its weights"):
        from_arrays(network)
