"""Deep embedded clustering of scikit-learn's digits: K-means < autoencoder and K-means ≤ DEC."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits

from triptych.clusterers.dec import Dec
from triptych.clusterers.kmeans import KMeans
from triptych.core.protocols import Places
from triptych.fusers.sdae import Sdae

# Pixels share a scale, so columns are not standardised, which would swell the few dots in the corners.
SLIM = {"latent": 10, "hidden": (200, 200, 500), "standardise": False}
SLIGHT = {"latent": 10, "hidden": (100, 100, 300), "standardise": False, "least_steps": 300}


def accuracy(truth, guess):
    """With each cluster given to another digit, in the best way."""
    table = np.zeros((10, 10), int)
    np.add.at(table, (guess, truth), 1)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


def accuracies(seed, shape):
    """Of K-means of the pixels, K-means of the code of sdae, and DEC."""
    x, truth = load_digits(return_X_y=True)
    places = Places(np.zeros((len(x), 2)), np.zeros(len(x), int))
    code, encoder = Sdae(**shape).fit({"x": x}, places, np.random.default_rng(seed))
    found = (
        KMeans(k=10).cluster(x, np.random.default_rng(seed)),
        KMeans(k=10).cluster(code, np.random.default_rng(seed)),
        Dec(k=10).fit(x, np.random.default_rng(seed), encoder=encoder).value,
    )
    return [accuracy(truth, guess) for guess in found]


def test_one_seed_of_a_slight_network():
    pixels, code, dec = accuracies(0, SLIGHT)
    assert dec >= code
    assert dec > pixels
    assert dec >= 0.8


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_mean_of_five_seeds():
    pixels, code, dec = np.mean([accuracies(seed, SLIM) for seed in range(5)], axis=0)
    assert pixels < code <= dec
    assert dec >= 0.85
