"""Numpy and scipy that two rooms share."""
