"""The residual network: against that of transformers, and its weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from triptych.core.errors import WeightsError
from triptych.nets.residual import MEAN, STD, Residual, fill, normalised, turned, weights_in


def network(seed=0):
    return Residual(torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def published():
    """A network of transformers' own with random weights, as it is published: with a classifier."""
    transformers = pytest.importorskip("transformers", reason="the extra foundation is not installed")
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", num_labels=10
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.ResNetForImageClassification(config).eval()
        for name, value in model.state_dict().items():
            if name.endswith(("running_mean", "normalization.weight", "normalization.bias")):
                value.add_(torch.randn(value.shape) / 10)
    return model


def test_published_weights_give_the_published_numbers(published, tmp_path):
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    net = network()
    fill(net, weights_in(str(tmp_path)))
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = published.resnet(x).pooler_output.flatten(1)
        torch.testing.assert_close(net.eval()(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [32, 33, 112])
def test_any_side_gives_512_numbers(side):
    with torch.no_grad():
        assert network().eval()(torch.zeros(2, 3, side, side)).shape == (2, 512)


def test_initial_weights_follow_the_generator_and_keep_the_size_of_the_signal():
    one, two, other = network(), network(), network(1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    state = torch.get_rng_state()
    network()
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        out = one.train()(torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert 0.3 < float(out.std()) < 3


def test_pixels_are_normalised_channel_by_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    found = normalised(pixels, "cpu")
    wanted = ((pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_windows_are_turned_to_each_of_eight_views():
    one = torch.arange(9.0).reshape(1, 1, 3, 3)
    found = turned(one.repeat(400, 1, 1, 1), torch.Generator().manual_seed(0))
    views = {tuple(view.flatten().tolist()) for view in found}
    wanted = [torch.rot90(base, k, (2, 3)) for base in (one, one.flip(3)) for k in range(4)]
    assert views == {tuple(view.flatten().tolist()) for view in wanted}


def test_weights_that_are_not_there_say_where_to_get_them(tmp_path):
    with pytest.raises(WeightsError, match="There is no .*model.safetensors. Download .*resnet-18"):
        weights_in(str(tmp_path))


def test_damaged_weights_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(WeightsError, match="is no file of safetensors"):
        fill(network(), tmp_path / "model.safetensors")


def test_weights_of_another_model_are_refused_with_all_faults(tmp_path):
    state = network().state_dict()
    gone = "embedder.embedder.convolution.weight"
    state["other.weight"] = state.pop(gone)
    changed = "embedder.embedder.normalization.weight"
    state[changed] = torch.ones(3)
    save_file(state, tmp_path / "model.safetensors")
    net = network()
    with pytest.raises(WeightsError) as caught:
        fill(net, tmp_path / "model.safetensors")
    for part in ("missing: " + gone, "unexpected: other.weight", "of another shape: " + changed):
        assert part in str(caught.value)
