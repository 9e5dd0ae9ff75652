"""Pictures that nobody can tell from a photo: what is said of the photo should hold for them too."""

from torch import Tensor
from torch.nn.functional import pad

from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import as_jpeg

_QUALITIES = (95, 85)
_SHIFTS = {"1 px right": (0, 1), "1 px down": (1, 0), "2 px left and up": (-2, -2)}
_LIGHTS = {"1% brighter": 1.01, "1% darker": 0.99}


def nearby(photos: Tensor, *, bounded: bool = True) -> dict[str, Tensor]:
    """The same photos, changed as nobody sees: saved as a JPEG, shifted, in a slightly other light.

    Always the same seven changes, without dice. A shift repeats the pixels of the edge.

    Args:
        photos: displayable, (N, C, H, W).
        bounded: whether they lie in [0, 1]; if not they are only shifted.

    Returns:
        The changed photos by the name of the change, each shaped as the photos.

    Raises:
        ArgumentError: the photos have another number of dimensions.

    Example:
        >>> import torch
        >>> list(nearby(torch.rand(1, 3, 8, 8)))[:3]
        ['JPEG 95', 'JPEG 85', '1 px right']
    """
    if photos.dim() != 4:
        raise ArgumentError(
            f"photos have shape {tuple(photos.shape)}, expected (N, C, H, W); photo[None] adds the "
            "batch dimension"
        )
    jpegs = {f"JPEG {quality}": quality for quality in _QUALITIES if bounded}
    lights = _LIGHTS if bounded else {}
    return {
        **{name: as_jpeg(photos, quality) for name, quality in jpegs.items()},
        **{name: _shifted(photos, *by) for name, by in _SHIFTS.items()},
        **{name: (photos * light).clamp(0, 1) for name, light in lights.items()},
    }


def _shifted(photos: Tensor, down: int, right: int) -> Tensor:
    """Moved by whole pixels, the edge repeated where nothing is known."""
    height, width = photos.shape[-2:]
    margin = max(abs(down), abs(right))
    wide = pad(photos, (margin,) * 4, mode="replicate")
    top, left = margin - down, margin - right
    return wide[..., top : top + height, left : left + width]
