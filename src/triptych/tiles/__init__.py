"""Tiles: a slide and places → windows of pixels, streamed in slide order."""
