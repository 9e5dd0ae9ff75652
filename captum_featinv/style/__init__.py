"""Style as a combination of textures: a picture in the energies of another one."""

from captum_featinv.style.restyling import RECIPE, Restyled, restyle
from captum_featinv.style.target import Match, StyleDistances

__all__ = ["RECIPE", "Match", "Restyled", "StyleDistances", "restyle"]
