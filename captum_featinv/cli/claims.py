"""captum-featinv claims: do the paper's claims hold for the network at hand?"""

import argparse
import io
import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from captum_featinv.cli.model import add_model, model_of
from captum_featinv.cli.options import add_precision, add_seed, positive, recipe_of
from captum_featinv.cli.outputs import as_json, require_folder
from captum_featinv.cli.photos import add_size, as_taken, edge_of
from captum_featinv.cli.telling import tell
from captum_featinv.errors import ArgumentError, MissingExtraError
from captum_featinv.images.folder import picture_files, readable
from captum_featinv.models import LoadedModel, load_model
from captum_featinv.network.layers import find_layer
from captum_featinv.studies.claims import (
    Claims,
    Judge,
    LayerJudge,
    RandomJudge,
    as_text,
    measure_claims,
    stages,
)
from captum_featinv.writing import write_whole

# Fewer than the recipe's: enough to tell textures, and there are hundreds of pictures to make.
_STEPS = 40
_SIZE = 128
# As many as a verdict takes.
_OWN_PHOTOS = (
    "astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry",
)  # fmt: skip


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    add_model(parser)
    _add_sample(parser)
    parser.add_argument(
        "--steps",
        type=int,
        default=_STEPS,
        metavar="N",
        help=f"of each inversion; default {_STEPS}",
    )
    _add_judge(parser)
    add_precision(parser)
    add_size(parser, _SIZE)
    add_seed(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if not there")


def _add_sample(parser: argparse.ArgumentParser) -> None:
    """What is looked at."""
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="a folder of two pictures or more, whose central squares are taken; default: six of "
        "scikit-image's; with fewer than six claim 3 stays undecided, with fewer than three claim 4 "
        "is not asked",
    )
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="a layer; repeat it, low layers first; default: the last activation function at each "
        "size of the maps",
    )
    parser.add_argument(
        "--filters", type=positive, default=12, metavar="N", help="a layer; default 12, six decide"
    )


def _add_judge(parser: argparse.ArgumentParser) -> None:
    """Who compares pictures."""
    parser.add_argument(
        "--judge",
        metavar="NAME",
        help="a layer that compares pictures, none of those looked at; default: random filters",
    )
    parser.add_argument(
        "--judge-model",
        metavar="MODEL",
        help="the trained network whose layer --judge is; default: the one looked at",
    )


def _run(options: argparse.Namespace) -> None:
    out: Path = options.out
    require_folder(out)
    pictures = _own_photos() if options.photos is None else _pictures_in(options.photos)
    loaded = model_of(options)
    photos = _photos(pictures, loaded, edge_of(loaded, options.size, _SIZE))
    claims = measure_claims(
        loaded,
        photos,
        options.layer or stages(loaded, photos),
        options.filters,
        judge=_judge(loaded, options, photos.shape[-1]),
        recipe=recipe_of(options),
        seed=options.seed,
        show_progress=sys.stderr.isatty(),
    )
    _write(claims, out)
    tell(f"\nwrote {out}")


def _judge(loaded: LoadedModel, options: argparse.Namespace, edge: int) -> Judge:
    if options.judge is None and options.judge_model is not None:
        raise ArgumentError("--judge-model needs --judge, the layer that compares pictures")
    if options.judge is None:
        return RandomJudge()
    if options.judge_model is not None:
        loaded = load_model(options.judge_model)
        edge_of(loaded, edge, edge)
    return LayerJudge(loaded, find_layer(loaded.model, options.judge)[0])


def _photos(pictures: list[Image.Image], loaded: LoadedModel, edge: int) -> Tensor:
    if loaded.channels == 1:
        raise ArgumentError(
            f"{loaded.description} takes grey images, but the claims are about colours too, and so are "
            "those who judge; choose a model of colour images"
        )
    return torch.cat([as_taken(picture, loaded, edge, crop=True) for picture in pictures])


def _pictures_in(folder: Path) -> list[Image.Image]:
    if not folder.is_dir():
        raise ArgumentError(f"no folder {str(folder)!r} with photos")
    pictures = [picture for _, picture in readable(picture_files(folder))]
    if len(pictures) < 2:
        raise ArgumentError(
            f"folder {str(folder)!r} has {len(pictures)} pictures; two or more are compared"
        )
    return pictures


def _own_photos() -> list[Image.Image]:
    try:
        import skimage.data
    except ImportError as error:
        raise MissingExtraError(
            'without --photos an extra is needed: pip install "captum_featinv[studies]"'
        ) from error
    return [Image.fromarray(getattr(skimage.data, name)()) for name in _OWN_PHOTOS]


def _write(claims: Claims, out: Path) -> None:
    from captum_featinv.studies.claims.figures import figures, textures

    text = as_text(claims)
    tell(text)
    out.mkdir(exist_ok=True)
    write_whole(out / "claims.json", as_json(claims.to_dict()))
    write_whole(out / "claims.txt", f"{text}\n".encode())
    for name, figure in figures(claims).items():
        content = io.BytesIO()
        figure.savefig(content, format="png")
        write_whole(out / name, content.getvalue())
    content = io.BytesIO()
    textures(claims).save(content, "PNG")
    write_whole(out / "textures.png", content.getvalue())
