"""What captum-featinv layers takes."""

import argparse

from captum_featinv.cli.parsing.options import add_device


def add(parser: argparse.ArgumentParser) -> None:
    """A network."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="any torchvision model, e.g. resnet50; efficientnet_lite0 or _lite2; timm/NAME; or your "
        "own, package.module:function",
    )
    parser.add_argument(
        "--fields",
        action="store_true",
        help="also measure receptive fields: half a minute or more for a large model",
    )
    add_device(parser)
