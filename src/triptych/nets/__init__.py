"""Torch layers, losses and the one training loop; imported inside functions only, for torch is slow to load."""
