"""Encoders of images: windows of pixels → one vector per window."""
