"""Every card: complete, and of the encoder that carries it."""

from urllib.parse import urlparse

import pytest

from triptych.encoders import registry
from triptych.encoders.card import Card

CARDS = [name for name in registry if hasattr(registry.find(name), "card")]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_complete(name):
    cls = registry.find(name)
    card = cls.card
    assert card.name == name
    assert card.dimension > 0
    assert card.licence
    assert card.cite == cls.cite
    assert card.cite.startswith(("10.", "https://"))
    assert card.source.count("/") == 1 if card.on_hub else urlparse(card.source).scheme == "https"
    assert len(card.mean) == len(card.std) == 3
    if cls.takes == "windows":
        assert cls().tile_px == card.input_px > 0
        assert min(card.std) > 0


@pytest.mark.parametrize("name", CARDS)
def test_the_weights_are_the_hubs_unless_given(name):
    assert registry.make(name).weights == "hub"
    assert callable(registry.find(name).fingerprint)


def test_a_source_is_a_repository_or_an_address():
    facts = {"name": "x", "dimension": 2, "licence": "MIT", "gated": False, "cite": "10.1/x"}
    assert Card(source="owner/name", **facts).on_hub
    assert not Card(source="https://example.org/weights.zip", **facts).on_hub
