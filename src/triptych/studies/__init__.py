"""Studies: many runs side by side, chosen, repeated and compared."""
