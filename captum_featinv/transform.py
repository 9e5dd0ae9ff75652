"""Small random distortions of an image, so that a picture cannot live on what they destroy.

The dice are thrown apart from their use: `draw(generator)` fixes a distortion, the function it
returns applies it. So a step that evaluates an image several times sees one distortion, and the
dice depend on a seed alone, never on the batch. Called as functions of an image, as in Lucent,
transforms throw torch's global dice, or those of the generator they were made with.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, degrees
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import rotate

from captum_featinv.errors import ArgumentError
from captum_featinv.images.normalization import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalization,
    Statistic,
)

# From an image to what is seen of it: a distortion whose dice are thrown, or a normalisation.
Lens = Callable[[Tensor], Tensor]


class Transform(Protocol):
    """A random distortion: throws its dice, and returns what to do with an image."""

    def draw(self, generator: Generator | None) -> Lens:
        """Throw the dice; the function that comes back is deterministic.

        Args:
            generator: of the dice; torch's global one if None.

        Returns:
            From images (rows, channel, height, width) to images.
        """
        ...


@dataclass(frozen=True)
class RandomTransform:
    """A transform of images (rows, channel, height, width) that can be called as a function of one.

    Args:
        throw: from a generator to a deterministic function of an image.
        generator: of the dice when it is called; torch's global one if None.
    """

    throw: Callable[[Generator | None], Lens]
    generator: Generator | None = None

    def draw(self, generator: Generator | None) -> Lens:
        """Throw the dice.

        Args:
            generator: of the dice; torch's global one if None.

        Returns:
            From images (rows, channel, height, width) to images.
        """
        return self.throw(generator)

    def __call__(self, image: Tensor) -> Tensor:
        """Throw the dice and apply them, in Lucent's manner.

        Args:
            image: (rows, channel, height, width).

        Returns:
            The image, distorted.
        """
        return self.throw(self.generator)(image)


def same(image: Tensor) -> Tensor:
    """The lens that changes nothing.

    Args:
        image: of any shape.

    Returns:
        The same tensor.
    """
    return image


def jitter(d: int, *, generator: Generator | None = None) -> RandomTransform:
    """Move the image right and down by 0 to d - 1 pixels each; what comes in is black.

    Args:
        d: how many pixels, at least 2.
        generator: of the dice when it is called; torch's global one if None.

    Returns:
        The transform; it keeps the image's size.

    Raises:
        ArgumentError: d is less than 2.
    """
    if d < 2:
        raise ArgumentError(f"jitter by less than 2 pixels would do nothing. Given: {d}")

    def throw(dice: Generator | None) -> Lens:
        down, right = torch.randint(d, (2,), generator=dice, device="cpu").tolist()
        # Padding by less than nothing crops.
        return lambda image: functional.pad(image, [right, -right, down, -down])

    return RandomTransform(throw, generator)


def pad(
    w: int, mode: Literal["reflect", "constant"] = "reflect", constant_value: float = 0.5
) -> Lens:
    """Enlarge the image by w pixels on every side.

    Args:
        w: in pixels.
        mode: `"reflect"` or `"constant"`.
        constant_value: of what comes in, with `"constant"`.

    Returns:
        The transform; images become 2 w pixels wider and higher.
    """
    if mode == "constant":
        return lambda image: functional.pad(image, [w] * 4, value=constant_value)
    return lambda image: functional.pad(image, [w] * 4, mode=mode)


def random_scale(scales: Sequence[float], *, generator: Generator | None = None) -> RandomTransform:
    """Scale the image by one of some factors; where it shrinks, black borders keep its size.

    Differs from Lucent's, which on images that are not square pads one side for the other.

    Args:
        scales: to choose from.
        generator: of the dice when it is called; torch's global one if None.

    Returns:
        The transform; where a factor is above 1 the image grows.
    """

    def throw(dice: Generator | None) -> Lens:
        scale = scales[_thrown(len(scales), dice)]

        def lens(image: Tensor) -> Tensor:
            old = image.shape[-2:]
            new = [ceil(scale * edge) for edge in old]
            scaled = functional.interpolate(image, new, mode="bilinear", align_corners=True)
            down, right = (max(0, ceil((a - b) / 2)) for a, b in zip(old, new, strict=True))
            return functional.pad(scaled, [right, right, down, down])

        return lens

    return RandomTransform(throw, generator)


def random_rotate(
    angles: Sequence[float], units: str = "degrees", *, generator: Generator | None = None
) -> RandomTransform:
    """Turn the image about its centre, anti-clockwise, by one of some angles; corners are black.

    Args:
        angles: to choose from.
        units: `"degrees"`, or `"radians"`, `"rads"`, `"rad"`.
        generator: of the dice.

    Returns:
        The transform; it keeps the image's size.

    Raises:
        ArgumentError: the units are none of these.
    """
    if units.lower() in ("radians", "rads", "rad"):
        angles = [degrees(angle) for angle in angles]
    elif units.lower() != "degrees":
        raise ArgumentError(f"units={units!r} are neither 'degrees' nor 'radians'")

    def throw(dice: Generator | None) -> Lens:
        angle = float(angles[_thrown(len(angles), dice)])
        return lambda image: rotate(image, angle, InterpolationMode.BILINEAR)

    return RandomTransform(throw, generator)


def _thrown(count: int, dice: Generator | None) -> int:
    return int(torch.randint(count, (), generator=dice, device="cpu"))


def compose(transforms: Iterable[Lens]) -> Lens:
    """All transforms, one after the other.

    Args:
        transforms: from an image to an image, the first one first.

    Returns:
        The transform.
    """
    steps = tuple(transforms)

    def lens(image: Tensor) -> Tensor:
        for step in steps:
            image = step(image)
        return image

    return lens


def normalize(mean: Statistic = IMAGENET_MEAN, std: Statistic = IMAGENET_STD) -> Lens:
    """The normalisation of torchvision's models, or another one.

    Args:
        mean: one number a channel or one for all, of values in [0, 1].
        std: likewise.

    Returns:
        From images (rows, channel, height, width) in [0, 1] to the model's input space.
    """
    space = Normalization(mean, std)
    placed: dict[tuple[torch.device, torch.dtype, int], Normalization] = {}

    def lens(image: Tensor) -> Tensor:
        where = (image.device, image.dtype, image.dim())
        if (
            where not in placed
        ):  # once a device: a copy from the host in every step would wait for it
            placed[where] = space.placed_like(image)
        return placed[where].to_model(image)

    return lens


def preprocess_inceptionv1() -> Lens:
    """From [0, 1] to the [-117, 138] that TensorFlow's InceptionV1 takes."""
    return lambda image: image * 255 - 117


# Lucid's constants, as a tuple: a list is one careless append away from changing every later run.
standard_transforms = (
    pad(12, mode="constant", constant_value=0.5),
    jitter(8),
    random_scale([1 + (i - 5) / 50 for i in range(11)]),
    random_rotate([*range(-10, 11), *[0] * 5]),
    jitter(4),
)


# Of how many sizes a random blur is: more than one sees, and few enough to be made beforehand.
_SIZES = 32


@dataclass(frozen=True)
class RandomBlur:
    """A Gaussian blur over the last two dimensions, in some of the steps.

    Args:
        probability: of blurring at all.
        sigma: the range of the standard deviation, in pixels, of which 32 values are taken.
    """

    probability: float = 0.5
    sigma: tuple[float, float] = (0.3, 1.2)

    def draw(self, generator: Generator | None) -> Lens:
        """Whether to blur, and how much.

        Args:
            generator: of the dice; torch's global one if None.

        Returns:
            From images (rows, channel, *, height, width) to images of the same size.
        """
        blurs, position = torch.rand(
            2, generator=generator, dtype=torch.float32, device="cpu"
        ).tolist()
        if blurs >= self.probability:
            return same
        low, high = self.sigma
        return Blur(low + (high - low) * int(position * _SIZES) / (_SIZES - 1))


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur over height and width, the border reflected.

    Args:
        sigma: standard deviation in pixels; the kernel is cut off at three of them.
    """

    sigma: float

    def __call__(self, image: Tensor) -> Tensor:
        """Images (rows, channel, *, height, width) blurred; without height and width as they are.

        Args:
            image: (rows, channel, *, height, width).

        Returns:
            The same shape.
        """
        return self.ready_for(image)(image)

    def ready_for(self, image: Tensor) -> Lens:
        """The same for images of one size, device and dtype, with all that it needs made.

        Args:
            image: one of those images.

        Returns:
            From such images to blurred ones.
        """
        if self.sigma == 0 or image.dim() < 4:
            return same
        *_, height, width = image.shape
        # A line of pixels cannot be reflected by more than its size.
        radius = min(int(3 * self.sigma + 0.5), height - 1, width - 1)
        down, across = (_blurring(size, self.sigma, radius, image) for size in (height, width))
        planes = image.shape[:-2].numel()
        lines = tuple(m.expand(planes, -1, -1) for m in (down, across.mT.contiguous()))
        back = tuple(m.expand(planes, -1, -1) for m in (down.mT.contiguous(), across))
        return lambda shown: _Blurred.apply(shown, lines, back)


class _Blurred(torch.autograd.Function):
    """Two products of matrices, and for the gradient their transposes: fewer passes than traced."""

    @staticmethod
    def forward(ctx, image, lines, back):  # type: ignore[no-untyped-def]
        ctx.back = back
        return _between(image, lines)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return _between(gradient, ctx.back), None, None


def _between(image: Tensor, lines: tuple[Tensor, ...]) -> Tensor:
    """`down @ image @ across`, plane by plane."""
    down, across = lines
    planes = image.reshape(-1, *image.shape[-2:])
    return torch.bmm(torch.bmm(down, planes), across).view(image.shape)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of `sigma` pixels; see `Blur`.

    Args:
        image: (rows, channel, *, height, width).
        sigma: standard deviation in pixels.

    Returns:
        The same shape.
    """
    return Blur(sigma)(image)


def _blurring(size: int, sigma: float, radius: int, image: Tensor) -> Tensor:
    """The blur of a line of pixels as a matrix: faster than padding and convolving, both ways."""
    offsets = torch.arange(-radius, radius + 1, device=image.device)
    lengths = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (lengths / sigma) ** 2)
    kernel = kernel / kernel.sum()
    places = torch.arange(size, device=image.device)[:, None] + offsets
    reflected = (size - 1) - ((size - 1) - places.abs()).abs()
    return image.new_zeros(size, size).scatter_add(1, reflected, kernel.expand(size, -1))
