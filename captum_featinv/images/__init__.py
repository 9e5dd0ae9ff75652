"""Pictures: files, arrays, sheets, and the two spaces of an image."""

from captum_featinv.images.display import as_jpeg, as_saved, to_image, to_picture
from captum_featinv.images.files import (
    central_square,
    from_picture,
    load_middle,
    load_photo,
    middle_of,
    open_picture,
)
from captum_featinv.images.folder import load_folder
from captum_featinv.images.heatmap import over_photo, signed
from captum_featinv.images.nearby import nearby
from captum_featinv.images.normalization import Normalization
from captum_featinv.images.sheet import contact_sheet

__all__ = [
    "Normalization",
    "as_jpeg",
    "as_saved",
    "central_square",
    "contact_sheet",
    "from_picture",
    "load_folder",
    "load_middle",
    "load_photo",
    "middle_of",
    "nearby",
    "open_picture",
    "over_photo",
    "signed",
    "to_image",
    "to_picture",
]
