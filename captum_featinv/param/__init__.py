"""How an image is written down for an optimiser; the names are Lucent's."""

from captum_featinv.param.color import to_valid_rgb
from captum_featinv.param.forms import as_param
from captum_featinv.param.images import image
from captum_featinv.param.lowres import lowres_tensor
from captum_featinv.param.network import CompositeActivation, cppn
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.reference import with_reference
from captum_featinv.param.spatial import fft_image, pixel_image

__all__ = [
    "CompositeActivation",
    "Parameterization",
    "as_param",
    "cppn",
    "fft_image",
    "image",
    "lowres_tensor",
    "pixel_image",
    "to_valid_rgb",
    "with_reference",
]
