"""How an image is written down for an optimiser."""
