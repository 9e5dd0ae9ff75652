"""What captum-featinv compare takes."""

import argparse

from captum_featinv.cli.parsing.filters import Filters, add_filters
from captum_featinv.cli.parsing.options import (
    add_crop,
    add_model,
    add_output,
    add_pictures,
    add_precision,
    add_seed,
    add_size,
    add_steps,
)

SIZE = 128
FILTERS = "top:2"
METHODS = (
    "photo", "LayerActivation", "FeatureMapInversion", "CodeInversion", "NeuronGradient",
    "NeuronGuidedBackprop", "NeuronDeconvolution", "NeuronIntegratedGradients", "Lucent",
    "ActivationMaximization", "DreamLens", "DeepDream",
)  # fmt: skip
# Steps of other tools' methods, which would take minutes a filter by their own numbers.
QUICK = {"Lucent": 128, "ActivationMaximization": 128, "DreamLens": 60}


def add(parser: argparse.ArgumentParser) -> None:
    """A photo, a layer, filters, and the methods that are to show them."""
    parser.add_argument("photo", metavar="PHOTO", help="a picture file")
    add_model(parser)
    parser.add_argument("--layer", required=True, metavar="NAME")
    add_filters(parser, FILTERS)
    parser.add_argument(
        "--filter",
        action=_Filter,
        dest="filters",
        type=int,
        metavar="K",
        help="one filter; may be repeated",
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=METHODS,
        help="a column; may be repeated; by default all that are installed",
    )
    quick = ", ".join(f"{name} {number}" for name, number in QUICK.items())
    add_steps(parser, f"each method's own number, but for {quick}")
    parser.add_argument(
        "--full", action="store_true", help="these too by their own numbers, minutes a filter"
    )
    add_precision(parser)
    add_size(parser, SIZE)
    add_crop(parser)
    add_seed(parser)
    add_output(parser, "comparison.png")
    add_pictures(parser)


class _Filter(argparse.Action):
    """One more filter for the list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        before: Filters | None = namespace.filters
        numbers = () if before is None else before.numbers
        namespace.filters = Filters("these", numbers=(*numbers, values))  # type: ignore[arg-type]
