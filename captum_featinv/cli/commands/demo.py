"""captum-featinv demo: the picture of the README, on a real network."""

import argparse

from torch import Tensor

from captum_featinv.cli.outputs import require_outputs, write_sheet
from captum_featinv.cli.parsing.demo import SIZE
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
from captum_featinv.codes import live_filters
from captum_featinv.errors import MissingExtraError
from captum_featinv.images.files import from_picture
from captum_featinv.models import load_model
from captum_featinv.studies.sheet import texture_sheet

# relu1_2 to relu5_2: the rows of the paper's figure.
_LAYERS = ("features.3", "features.8", "features.13", "features.20", "features.27")


def run(options: argparse.Namespace) -> str:
    """Make the picture."""
    require_outputs(options)
    loaded = load_model("vgg16", "hed", "average").on(options.device)
    photo = _astronaut(options.size or SIZE).to(loaded.device)
    recipe = recipe_of(options)
    sheet = texture_sheet(
        loaded,
        {"astronaut": photo},
        _LAYERS,
        lambda codes: live_filters(codes, 5, options.seed),
        recipe=recipe,
        seed=options.seed,
    )
    return write_sheet(sheet, options, record_of(options, loaded, recipe, []))


def _astronaut(size: int) -> Tensor:
    try:
        import skimage.data
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'the demo needs an extra: pip install "captum_featinv[demo]"'
        ) from error
    return from_picture(Image.fromarray(skimage.data.astronaut()), size)  # type: ignore[no-untyped-call]
