"""Which network a command asks."""

import argparse

from captum_featinv.models import LoadedModel, load_model


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which network, with which weights, and what its images are."""
    parser.add_argument(
        "--model",
        default="vgg16",
        help="any torchvision model; efficientnet_lite0 or _lite2; timm/NAME, any of timm's; or your "
        "own, package.module:function, called without arguments; default vgg16",
    )
    parser.add_argument(
        "--weights",
        default="DEFAULT",
        help="a name of the model's weights, hed (vgg16 only), random, or a state dict's file; "
        "default DEFAULT: torchvision's or timm's own, downloaded on first use, or those that your "
        "own model comes with",
    )
    parser.add_argument(
        "--pooling", choices=("max", "average"), default="max", help="average as in the paper"
    )
    _add_images(parser)


def _add_images(parser: argparse.ArgumentParser) -> None:
    for name in ("mean", "std"):
        parser.add_argument(
            f"--{name}",
            type=numbers,
            metavar="X[,X,X]",
            help=f"the {name} with which the model's images are normalised, of values in [0, 1]: one "
            "number or one a channel; default the weights' own, or ImageNet's for your own model",
        )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="of the images of your own model, or of one of timm's: with 1 photos become grey; default "
        "as the model has it",
    )


def model_of(options: argparse.Namespace) -> LoadedModel:
    """The network that was asked for."""
    return load_model(
        options.model,
        options.weights,
        options.pooling,
        mean=options.mean,
        std=options.std,
        channels=options.channels,
    )


def numbers(text: str) -> float | tuple[float, ...]:
    """`0.5`, or `0.48,0.46,0.41`."""
    try:
        given = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number (0.5) nor a list (0.48,0.46,0.41)"
        ) from None
    return given if len(given) > 1 else given[0]
