"""An image to optimise, and before it in the batch the photo that it is to resemble.

So transforms, normalisation and the size of the model's input, whatever they are, are the same for
both: Lucid's and Lucent's way to invert features.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from captum_featinv.errors import ArgumentError
from captum_featinv.param.forms import as_param
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.photo import checked_photo


def with_reference(param_f: object, reference: Tensor) -> Callable[[], Parameterization]:
    """A `param_f` whose batch is the reference, as row 0, and then the images of another `param_f`.

    Args:
        param_f: any form that `as_param` takes.
        reference: one photo, (1, channel, height, width), in the range of the drawn images, which is
            [0, 1]. It gets no gradient; where its size is not theirs it is resized, bilinearly.

    Returns:
        A `param_f`: its images have the photos first.

    Raises:
        ArgumentTypeError: the reference is no floating-point tensor.
        ArgumentError: it has another shape; when drawn: other channels than the images have.

    Example:
        >>> from captum_featinv import param
        >>> both = with_reference(lambda: param.image(8), torch.rand(1, 3, 16, 16))
        >>> parameters, draw = both()
        >>> draw().shape
        torch.Size([2, 3, 8, 8])
    """
    photo = checked_photo(reference, "reference").clone()
    if len(photo) != 1:
        raise ArgumentError(
            f"reference must be one photo, but there are {len(photo)}; pass one row"
        )
    # A pair is taken apart once: its parameters may be a generator.
    form = param_f if callable(param_f) else as_param(param_f)

    def param() -> Parameterization:
        parameters, draw = as_param(form)

        def draw_both() -> Tensor:
            images = draw()
            return torch.cat([_fitted(photo, images), images])

        return Parameterization(parameters, draw_both)

    return param


def _fitted(photo: Tensor, images: Tensor) -> Tensor:
    if photo.shape[1] != images.shape[1]:
        raise ArgumentError(
            f"the reference has {photo.shape[1]} channels but the images have {images.shape[1]}"
        )
    photo = photo.to(images)
    size = images.shape[2:]
    if photo.shape[2:] == size:
        return photo
    # What shrinks is averaged; without, fine patterns would turn into coarse ones.
    return functional.interpolate(photo, size, mode="bilinear", antialias=True)
