"""What counts as a photo that parameters start from or that images are compared with."""

from torch import Tensor

from captum_featinv.errors import ArgumentError, ArgumentTypeError


def checked_photo(photo: object, name: str) -> Tensor:
    """The photo itself, cut off from any graph.

    Args:
        photo: to be floating-point, (batch, channel, height, width).
        name: of the argument, for the message.

    Raises:
        ArgumentTypeError: it is no floating-point tensor.
        ArgumentError: it has not four dimensions.
    """
    if not isinstance(photo, Tensor) or not photo.is_floating_point():
        given = photo.dtype if isinstance(photo, Tensor) else type(photo)
        hint = "; divide bytes by 255" if isinstance(photo, Tensor) else ""
        raise ArgumentTypeError(
            f"{name} must be a floating-point tensor with values in [0, 1] but found: {given}{hint}"
        )
    if photo.dim() != 4 or not photo.numel():
        raise ArgumentError(
            f"{name} must have shape (batch, channel, height, width) but has {tuple(photo.shape)}"
        )
    return photo.detach()
