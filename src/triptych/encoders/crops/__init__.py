"""Encoders of crops: stains and molecules around each cell → (n, d)."""
