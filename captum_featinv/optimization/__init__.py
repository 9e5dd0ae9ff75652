"""How an image is looked for."""

from captum_featinv.optimization.recipe import Recipe

__all__ = ["Recipe"]
