"""What captum-featinv demo takes."""

import argparse

from captum_featinv.cli.parsing.options import (
    add_device,
    add_output,
    add_pictures,
    add_precision,
    add_seed,
    add_size,
    add_steps,
)

SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """Nothing that must be given."""
    add_device(parser)
    add_steps(parser)
    add_precision(parser)
    add_size(parser, SIZE)
    add_seed(parser)
    add_output(parser, "demo.png")
    add_pictures(parser)
