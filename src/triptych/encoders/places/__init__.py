"""Encoders of places: coordinates → (n, d)."""
