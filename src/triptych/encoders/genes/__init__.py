"""Encoders of genes: raw counts → (n, d), dense or sparse."""
