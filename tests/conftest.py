"""A tiny study in memory, a cache of its own for every test, and the real data where they are."""

import json
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData


class OperatorsOfTorchvision:
    """Declares two operators where torchvision's own library cannot be loaded, for want of a CPU build of it.

    timm imports torchvision, whose import registers shapes for them. Nothing happens before it is imported.
    """

    kept = None  # an operator lives as long as the library that declared it

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "torchvision" and cls.kept is None and (spec := PathFinder.find_spec(name)):
            import torch

            try:
                for file in Path(spec.origin).parent.glob("_C*.so"):
                    torch.ops.load_library(file)
            except OSError:
                cls.kept = torch.library.Library("torchvision", "DEF")
                for operator in ("nms", "qnms"):
                    cls.kept.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")


sys.meta_path.insert(0, OperatorsOfTorchvision)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data():
    """The folder of the real data sets; skips where there is none."""
    folder = os.environ.get("TRIPTYCH_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TRIPTYCH_DATA does not point to the real data sets")
    return Path(folder)


def study_table(side=8, genes=30, samples=("A1", "A2", "B1"), seed=0):
    """Spots on a square array, two domains (left and right) that differ in every gene."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    n = side * side
    domain = (column.ravel() >= side // 2).astype(int)
    rates = rng.gamma(2.0, 2.0, size=(2, genes))
    counts, obs = [], []
    for sample in samples:
        effect = np.exp(rng.normal(0, 0.3, size=genes))
        counts.append(rng.poisson(rates[domain] * effect))
        obs.append(
            pd.DataFrame(
                {
                    "sample": sample, "donor": sample[0], "batch": sample,
                    "truth": np.array(["left", "right"])[domain],
                    "array_col": column.ravel(), "array_row": row.ravel(),
                },
                index=[f"{sample}_{i}" for i in range(n)],
            )
        )  # fmt: skip
    frame = pd.concat(obs)
    for name in ("sample", "donor", "batch", "truth"):
        frame[name] = frame[name].astype("category")
    table = AnnData(obs=frame, var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]))
    table.layers["counts"] = sp.csr_matrix(np.concatenate(counts).astype(np.int32))
    grid = frame[["array_col", "array_row"]].to_numpy(float)
    table.obsm["spatial"] = grid * 100 + 50
    table.obsm["spatial_um"] = grid * 200
    about = pd.DataFrame(
        {
            "donor": [s[0] for s in samples], "image": "", "image_scale": 1.0, "mpp": 2.0,
            "spot_um": 100.0, "pitch_um": 200.0, "lattice": "square",
        },
        index=list(samples),
    )  # fmt: skip
    table.uns["triptych"] = {"schema": 1, "truth_column": "truth", "samples": about}
    return table


@pytest.fixture
def table():
    return study_table()


@pytest.fixture
def make_table():
    return study_table


GENES, SPECIAL = [f"g{i}" for i in range(40)], ["<pad>", "<cls>", "<eoc>"]
TINY_VIT = {"depth": 2, "num_heads": 2, "embed_dim": 24, "reg_tokens": 2}


def published_inception():
    import timm

    return timm.create_model("inception_v3", aux_logits=True)  # the file holds both classifiers


def published_uni2_h():
    import timm
    import torch

    from triptych.encoders.images.uni2_h import ARCHITECTURE

    layers = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}
    return timm.create_model("vit_giant_patch14_224", num_classes=0, **layers, **ARCHITECTURE)


def with_weights_that_count(model):
    """Weights of one spread, in place of scales so small that nothing but the first layer would count."""
    import torch

    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def published_vit(name, architecture, **layers):
    """The transformer that timm builds from the arguments that the encoder publishes."""
    from importlib import import_module

    import timm

    arguments = import_module(f"triptych.encoders.images.{name}").ARCHITECTURE
    return with_weights_that_count(timm.create_model(architecture, num_classes=0, **layers, **arguments))


def published_virchow2():
    import timm
    import torch

    layers = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}
    return published_vit("virchow2", "vit_huge_patch14_224", **layers)


def published_conch():
    """The tower of images with both its poolings, and some of what the file holds for text."""
    from timm.models.vision_transformer import VisionTransformer
    from torch import nn

    from triptych.encoders.images.conch import POOLING, TRUNK

    wide, narrow = TRUNK["embed_dim"], POOLING["width"]
    visual = nn.Module()
    visual.trunk = VisionTransformer(num_classes=0, **TRUNK)
    for name, width, queries in (("contrast", narrow, 1), ("caption", wide, 3)):
        pool = nn.Module()
        pool.query = nn.Parameter(nn.init.normal_(nn.Linear(width, queries).weight))
        pool.attn = nn.MultiheadAttention(width, POOLING["heads"], kdim=wide, vdim=wide)
        pool.ln_q, pool.ln_k = nn.LayerNorm(width), nn.LayerNorm(wide)
        setattr(visual, f"attn_pool_{name}", pool)
        setattr(visual, f"ln_{name}", nn.LayerNorm(width))
    visual.proj_contrast = nn.Parameter(nn.Linear(narrow, narrow).weight)
    whole = nn.Module()
    whole.visual, whole.text = visual, nn.Embedding(5, narrow)
    whole.logit_scale = nn.Parameter(nn.Linear(1, 1).weight[0, 0])
    return with_weights_that_count(whole)


def published_phikon_v2():
    import transformers

    from triptych.encoders.images.phikon_v2 import ARCHITECTURE

    config = transformers.Dinov2Config(image_size=224, **ARCHITECTURE)
    return with_weights_that_count(transformers.Dinov2Model(config))


def published_cancer_foundation():
    """Modules of torch's own under the names of the published file, and a head that it also holds."""
    from torch import nn

    d = 16
    layer = nn.TransformerEncoderLayer(d, 2, 32, 0.1, batch_first=True)
    value = {"linear1": nn.Linear(1, d), "linear2": nn.Linear(d, d), "norm": nn.LayerNorm(d)}
    gene = {"embedding": nn.Embedding(len(GENES) + len(SPECIAL), d, 0), "enc_norm": nn.LayerNorm(d)}
    parts = {"gene_encoder": nn.ModuleDict(gene), "value_encoder": nn.ModuleDict(value)}
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.ModuleDict({**parts, "encoder": encoder, "decoder": nn.Linear(d, 1)})


def published_dinov2(registers=0):
    """Position embeddings of another size than the input, so that they are interpolated."""
    import transformers

    kind, more = ("Dinov2WithRegisters", {"num_register_tokens": 4}) if registers else ("Dinov2", {})
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}
    config = getattr(transformers, f"{kind}Config")(image_size=70, **sizes, **more)
    return with_weights_that_count(getattr(transformers, f"{kind}Model")(config))


def published_geneformer():
    """With the head for masked tokens, as pretraining leaves it."""
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    places = {"vocab_size": len(GENES) + 2, "max_position_embeddings": 2048, "hidden_act": "relu"}
    return with_weights_that_count(transformers.BertForMaskedLM(transformers.BertConfig(**sizes, **places)))


def write_geneformer_dictionaries(folder):
    """Tokens, medians and names of 40 genes; the medians are few, so that ranks tie."""
    ids = {gene: f"ENSG{number:011d}" for number, gene in enumerate(GENES)}
    tokens = {name: number for number, name in enumerate(["<pad>", "<mask>", *ids.values()])}
    medians = {name: (1.0, 2.0, 0.5)[number % 3] for number, name in enumerate(ids.values())}
    held = {"token_dictionary": tokens, "gene_median_dictionary": medians, "gene_name_id_dict": ids}
    for name, values in held.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


PUBLISHED = {
    "dinov2": (published_dinov2, "model.safetensors"),
    "dinov2-reg": (lambda: published_dinov2(registers=4), "model.safetensors"),
    "inception-v3": (published_inception, "model.safetensors"),
    "uni": (lambda: published_vit("uni", "vit_large_patch16_224"), "pytorch_model.bin"),
    "uni2-h": (published_uni2_h, "pytorch_model.bin"),
    "conch": (published_conch, "pytorch_model.bin"),
    "virchow2": (published_virchow2, "model.safetensors"),
    "h-optimus-0": (
        lambda: published_vit("h_optimus_0", "vit_giant_patch14_reg4_dinov2"), "pytorch_model.bin"
    ),
    "phikon-v2": (published_phikon_v2, "model.safetensors"),
    "cancer-foundation": (published_cancer_foundation, "model.pth"),
    "geneformer": (published_geneformer, "model.safetensors"),
}  # fmt: skip
OF_TRANSFORMERS = ("dinov2", "dinov2-reg", "phikon-v2", "geneformer")


@pytest.fixture(scope="session")
def _published_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def published(_published_folder, monkeypatch):
    """Random weights as they are published: from an encoder's name to the model, and its folder.

    The transformers are tiny. An encoder whose card nobody knows here is skipped.
    """
    from triptych.encoders.images import conch, dinov2, h_optimus_0, phikon_v2, uni, uni2_h, virchow2

    monkeypatch.setitem(dinov2.SIZES, "base", dinov2.Size(32, 2, 2))
    for module in (uni, uni2_h, virchow2, h_optimus_0):
        for key, value in TINY_VIT.items():
            if key != "reg_tokens" or module is uni2_h:
                monkeypatch.setitem(module.ARCHITECTURE, key, value)
    for key, value in {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}.items():
        monkeypatch.setitem(phikon_v2.ARCHITECTURE, key, value)
    for key, value in {"embed_dim": 32, "depth": 2, "num_heads": 2}.items():
        monkeypatch.setitem(conch.TRUNK, key, value)
    for key, value in {"width": 16, "heads": 2}.items():
        monkeypatch.setitem(conch.POOLING, key, value)

    def prepare(name):
        if name not in PUBLISHED:
            pytest.skip(f"no tiny weights for {name}")
        if name in OF_TRANSFORMERS:
            pytest.importorskip("transformers", reason="the extra foundation is not installed")
        elif name != "cancer-foundation":
            pytest.importorskip("timm", reason="the extra images is not installed")
        import torch
        from safetensors.torch import save_file

        build, file = PUBLISHED[name]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = build().eval()
        folder = _published_folder / name
        if not folder.exists():
            folder.mkdir()
            if name in OF_TRANSFORMERS:
                model.save_pretrained(folder)
            else:
                (save_file if file.endswith("safetensors") else torch.save)(model.state_dict(), folder / file)
            if name == "geneformer":
                write_geneformer_dictionaries(folder)
            if name == "cancer-foundation":
                sizes = {"embsize": 16, "nheads": 2, "d_hid": 32, "nlayers": 2, "n_bins": 51}
                (folder / "args.json").write_text(json.dumps(sizes))
                vocabulary = {token: number for number, token in enumerate(SPECIAL + GENES)}
                (folder / "vocab.json").write_text(json.dumps(vocabulary))
        return model, folder

    return prepare
