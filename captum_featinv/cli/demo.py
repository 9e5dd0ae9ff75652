"""captum-featinv demo: the picture of the README, on a real network."""

import argparse
import sys

from torch import Tensor

from captum_featinv.cli.options import add_precision, recipe_of
from captum_featinv.cli.outputs import add_output, require_outputs, write_sheet
from captum_featinv.cli.photos import add_size
from captum_featinv.codes import live_filters
from captum_featinv.errors import MissingExtraError
from captum_featinv.images.files import from_picture
from captum_featinv.models import load_model
from captum_featinv.studies.sheet import texture_sheet

# relu1_2 to relu5_2: the rows of the paper's figure.
_LAYERS = ("features.3", "features.8", "features.13", "features.20", "features.27")
_SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    add_precision(parser)
    add_size(parser, _SIZE)
    add_output(parser, "demo.png")


def _run(options: argparse.Namespace) -> None:
    require_outputs(options)
    loaded = load_model("vgg16", "hed", "average")
    sheet = texture_sheet(
        loaded,
        {"astronaut": _astronaut(_SIZE if options.size is None else options.size)},
        _LAYERS,
        lambda code: live_filters(code, 5, options.seed),
        recipe=recipe_of(options),
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    write_sheet(sheet, options)


def _astronaut(size: int) -> Tensor:
    try:
        import skimage.data
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'the demo needs an extra: pip install "captum_featinv[demo]"'
        ) from error
    return from_picture(Image.fromarray(skimage.data.astronaut()), size)  # type: ignore[no-untyped-call]
