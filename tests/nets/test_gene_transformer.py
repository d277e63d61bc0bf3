"""The transformer over genes, against torch's own modules."""

import pytest
import torch
from torch import nn

from triptych.nets.gene_transformer import GeneShape, GeneTransformer

D = 12


@pytest.fixture
def reference():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layer = nn.TransformerEncoderLayer(D, 3, 20, dropout=0.2, batch_first=True)
        value = {"linear1": nn.Linear(1, D), "linear2": nn.Linear(D, D), "norm": nn.LayerNorm(D)}
        gene = {"embedding": nn.Embedding(9, D), "enc_norm": nn.LayerNorm(D)}
        parts = {"gene_encoder": nn.ModuleDict(gene), "value_encoder": nn.ModuleDict(value)}
        encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        model = nn.ModuleDict({**parts, "encoder": encoder})
        for weight in model.parameters():  # torch starts norms and biases at 1 and 0, which would hide a swap
            nn.init.normal_(weight, std=0.4)
    return model.eval()


@pytest.fixture
def model(reference):
    built = GeneTransformer(GeneShape(9, D, 3, 20, 3))
    built.load_state_dict(reference.state_dict())
    return built.eval()


def states(reference, genes, values, there):
    gene, value = reference["gene_encoder"], reference["value_encoder"]
    hidden = value["linear2"](torch.relu(value["linear1"](values.clamp(max=512)[..., None])))
    x = gene["enc_norm"](gene["embedding"](genes)) + value["norm"](hidden)
    return reference["encoder"](x, src_key_padding_mask=~there)[:, 0]


def inputs():
    generator = torch.Generator().manual_seed(0)
    genes = torch.randint(0, 9, (4, 7), generator=generator)
    values = torch.rand((4, 7), generator=generator) * 50
    values[0, 1] = 1000.0
    return genes, values, torch.arange(7) < torch.tensor([7, 5, 3, 1])[:, None]


def test_equals_torch(reference, model):
    with torch.no_grad():
        wanted, found = states(reference, *inputs()), model(*inputs())
    assert found.shape == (4, D)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing(model):
    genes, values, there = inputs()
    with torch.no_grad():
        whole = model(genes, values, there)
        cut = model(genes[2:, :3], values[2:, :3], there[2:, :3])
        other = model(torch.where(there, genes, 0), torch.where(there, values, 9.0), there)
    torch.testing.assert_close(whole[2:], cut, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole, other, rtol=1e-5, atol=1e-5)


def test_order_of_genes_changes_nothing(model):
    genes, values, there = (part[:1] for part in inputs())
    order = torch.tensor([0, 4, 2, 6, 1, 3, 5])  # the class token stays first
    with torch.no_grad():
        one, other = model(genes, values, there), model(genes[:, order], values[:, order], there)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
