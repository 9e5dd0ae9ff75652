"""How an image is looked for."""
