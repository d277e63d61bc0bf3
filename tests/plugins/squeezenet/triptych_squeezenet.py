"""A third party's encoder: SqueezeNet 1.0 of ImageNet, from a file of its own form, in torch's functions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

BGR_MEAN = (104.0, 117.0, 123.0)  # of ImageNet, as Caffe's models subtract it
POOLED_BEFORE = ("fire2", "fire5", "fire9")


@dataclass(frozen=True)
class SqueezeNet:
    """Means of the 512 channels of fire9 over a window (Iandola et al. 2016).

    Parameters
    ----------
    weights
        File of arrays ``LAYER/w`` and ``LAYER/b``.
    window_um
        Side of the tissue seen.
    window_px
        Side of the crop in pixels of the image itself; 0 leaves it to ``window_um``.
    """

    weights: str
    window_um: float = 112.0
    window_px: int = 0
    revision: ClassVar[int] = 1
    random: ClassVar[bool] = False
    cite: ClassVar[str] = "Iandola et al. 2016, doi:10.48550/arXiv.1602.07360"
    takes: ClassVar[Literal["windows"]] = "windows"
    tile_px: ClassVar[int] = 227

    def fingerprint(self):
        return hashlib.sha256(Path(self.weights).read_bytes()).hexdigest()

    def load(self, device):
        import torch
        from torch.nn import functional as f

        with np.load(self.weights, allow_pickle=False) as file:
            w = {name: torch.from_numpy(file[name].astype(np.float32)).to(device) for name in file.files}

        def layer(name, x, **given):
            return f.relu(f.conv2d(x, w[f"{name}/w"], w[f"{name}/b"], **given))

        def encode(pixels):
            mean = torch.tensor(BGR_MEAN, device=device)
            with torch.inference_mode():
                bgr = torch.tensor(pixels[..., ::-1].copy(), device=device).float() - mean
                x = layer("conv1", bgr.permute(0, 3, 1, 2), stride=2)
                for fire in (f"fire{i}" for i in range(2, 10)):
                    if fire in POOLED_BEFORE:
                        x = f.max_pool2d(x, 3, 2, ceil_mode=True)
                    squeezed = layer(f"{fire}/squeeze1x1", x)
                    wide = layer(f"{fire}/expand3x3", squeezed, padding=1)
                    x = torch.cat([layer(f"{fire}/expand1x1", squeezed), wide], 1)
                return x.mean((2, 3)).cpu().numpy()

        return encode
