"""Captum's front door: find the image that has a given code."""

from captum_featinv.inversion.code_inversion import CodeInversion
from captum_featinv.inversion.feature_map_inversion import FeatureMapInversion

__all__ = ["CodeInversion", "FeatureMapInversion"]
