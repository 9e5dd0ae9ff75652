"""captum-featinv layers: a model's layers with their channels, stride and receptive field."""

import argparse
from contextlib import suppress

from captum_featinv.anatomy import LayerAnatomy, anatomy
from captum_featinv.models import load_model

# Height and width of the images on which to look at a model, small ones first.
_PROBED = ((768, 32), (768, 96), (224, 224))


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument("model", metavar="MODEL", help="any torchvision model, e.g. resnet50")


def _run(options: argparse.Namespace) -> None:
    rows = [["layer", "type", "channels", "stride", "receptive field"]]
    for layer in _anatomy(options.model):
        numbers = (layer.channels, layer.stride, layer.receptive_field)
        rows.append([layer.name, layer.kind, *("-" if n is None else f"{n:g}" for n in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        words = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        figures = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        print("  ".join(words + figures))  # noqa: T201


def _anatomy(name: str) -> list[LayerAnatomy]:
    """Of a model, on the smallest of some images that it takes."""
    model = load_model(name, "random").model
    *smaller, largest = _PROBED
    for height, width in smaller:
        with suppress(Exception):  # whatever a model says to a size that it cannot take
            return anatomy(model, height=height, width=width)
    return anatomy(model, height=largest[0], width=largest[1])
