"""What captum-featinv restyle takes."""

import argparse

from captum_featinv.cli.parsing.options import (
    add_crop,
    add_model,
    add_output,
    add_precision,
    add_seed,
    add_size,
    add_steps,
    at_least_one,
)

SIZE = 256
MATCHES = ("energies", "gram", "both")


def add(parser: argparse.ArgumentParser) -> None:
    """Two pictures, a network, and what of the style to match where."""
    parser.add_argument("content", metavar="CONTENT", help="the picture to change")
    parser.add_argument("style", metavar="STYLE", help="the picture whose style it gets")
    add_model(parser)
    parser.add_argument(
        "--match",
        choices=MATCHES,
        default="energies",
        help="what of the style: the energies of its feature maps (the paper), its Gram matrices "
        "(Gatys et al.) or both; default energies",
    )
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="where to match; may be repeated; by default the first convolution at each size",
    )
    parser.add_argument("--content-layer", metavar="NAME", help="where to keep the content")
    parser.add_argument("--content-weight", type=float, metavar="W", help="beside 1 for the style")
    parser.add_argument(
        "--scales", default="1", help="parts of the size, coarse to fine, e.g. 0.5,1; default 1"
    )
    add_steps(parser, "50 for energies, otherwise 80; at every scale")
    parser.add_argument(
        "--style-size", type=at_least_one, metavar="PIXELS", help="its long edge; default as --size"
    )
    add_precision(parser)
    add_size(parser, SIZE)
    add_crop(parser)
    add_seed(parser)
    add_output(parser, "restyled.png")
