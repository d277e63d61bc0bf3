"""Torch layers, losses and the one training loop; imported inside functions, for torch loads slowly."""
