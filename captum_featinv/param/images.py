"""Lucent's image in (0, 1): of pixels or frequencies, with correlated or uncorrelated colours."""

import torch
from torch import Generator, Tensor

from captum_featinv.errors import ArgumentError
from captum_featinv.param.color import from_valid_rgb, to_valid_rgb
from captum_featinv.param.parameterization import Parameterization
from captum_featinv.param.photo import checked_photo
from captum_featinv.param.spatial import fft_image, pixel_image


def image(
    w: int,
    h: int | None = None,
    sd: float | None = None,
    batch: int | None = None,
    decorrelate: bool = True,
    fft: bool = True,
    channels: int | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    init: Tensor | None = None,
    generator: Generator | None = None,
) -> Parameterization:
    """An image in (0, 1), grey with a little noise or a photo of yours, as Lucent writes it down.

    With torch's seed alike, it is Lucent's to the bit.

    Args:
        w: width in pixels.
        h: height in pixels; that of a square if None.
        sd: standard deviation of the noise that the parameters start from, 0.01 if None. Differs
            from Lucent: 0 is 0, a plain grey, not 0.01.
        batch: number of images; as many as in `init`, or one, if None.
        decorrelate: whether the parameters are uncorrelated components of colour; see
            `captum_featinv.param.color`. Without effect if `channels` are given.
        fft: whether the parameters are frequencies, else they are pixels.
        channels: any number of independent channels; red, green and blue if None.
        device: of the parameters; that of `init`, or the CPU, if None.
        dtype: of the parameters, float32 or float64; that of `init`, or torch's default, if None.
        init: start images, (`batch` or 1, channel, height, width) in [0, 1]. Drawn again, they differ
            by 0.001 at most, where they are closer to 0 or 1 than that.
        generator: of the dice, on the CPU; torch's global one if None.

    Returns:
        Parameters, and the function that draws the image from them.

    Raises:
        ArgumentError: a size is not positive, or `init` has another size or range, or comes with sd.
        ArgumentTypeError: `init` is no floating-point tensor.

    Example:
        >>> parameters, draw = image(8, 6, sd=0)
        >>> draw().shape, draw().mean().item()
        (torch.Size([1, 3, 6, 8]), 0.5)
    """
    mixed = decorrelate and channels is None
    photo = None if init is None else checked_photo(init, "init")
    rows = batch if batch is not None else 1 if photo is None else len(photo)
    shape = (rows, 3 if channels is None else channels, w if h is None else h, w)
    if min(shape) < 1:
        raise ArgumentError(f"batch, channels, h and w must be positive. Given: {shape}")
    logits = None
    if photo is not None:
        _check_start(photo, shape, sd)
        logits = from_valid_rgb(photo.to(device=device, dtype=dtype), decorrelate=mixed)
    written = fft_image if fft else pixel_image
    parameters, draw = written(
        shape, sd, device=device, dtype=dtype, init=logits, generator=generator
    )
    return Parameterization(parameters, to_valid_rgb(draw, mixed))


def _check_start(init: Tensor, shape: tuple[int, ...], sd: float | None) -> None:
    if init.shape[1:] != shape[1:] or len(init) not in (1, shape[0]):
        raise ArgumentError(
            f"init has shape {tuple(init.shape)}, but the image is to have {shape}, that is (batch, "
            "channel, height, width); set w, h, batch and channels to those of init, or resize it"
        )
    low, high = init.min().item(), init.max().item()
    if not (low >= 0 and high <= 1):
        raise ArgumentError(
            f"init must have values in [0, 1] but has them in [{low:.3g}, {high:.3g}]; if it is "
            "normalised, pass the image as it was before"
        )
    if sd is not None:
        raise ArgumentError("start from a photo, init, or from noise, sd, not from both")
