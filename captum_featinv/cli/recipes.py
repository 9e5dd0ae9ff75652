"""The recipe that a command follows."""

import argparse
from collections.abc import Callable

from captum_featinv.optimization.recipe import Recipe


def recipe_of(options: argparse.Namespace, make: Callable[..., Recipe] = Recipe.default) -> Recipe:
    """A recipe with the changes to it that were asked for, and no others."""
    asked = {"n_steps": options.steps, "precision": options.precision}
    return make(**{name: value for name, value in asked.items() if value is not None})
