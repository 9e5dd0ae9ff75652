"""Style as a combination of textures: a picture in the energies of another one."""

from captum_featinv.style.restyling import RECIPE, RECIPES, Restyled, restyle
from captum_featinv.style.target import Match, StyleDistances

__all__ = ["RECIPE", "RECIPES", "Match", "Restyled", "StyleDistances", "restyle"]
