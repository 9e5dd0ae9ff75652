"""captum-featinv claims: do the paper's claims hold for the network at hand?"""

import argparse
import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from captum_featinv.cli.model import model_of
from captum_featinv.cli.outputs import KEY, Record, as_json, as_line, as_png, require_folder
from captum_featinv.cli.parsing.claims import SIZE
from captum_featinv.cli.photos import as_taken, edge_of
from captum_featinv.cli.recipes import recipe_of
from captum_featinv.cli.record import record_of
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

# As many as a verdict takes.
_OWN_PHOTOS = (
    "astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry",
)  # fmt: skip


def run(options: argparse.Namespace) -> str:
    """Measure, and write the numbers and the figures."""
    out: Path = options.out
    require_folder(out)
    pictures = _own_photos() if options.photos is None else _pictures_in(options.photos)
    loaded = model_of(options)
    photos = _photos(pictures, loaded, edge_of(loaded, options.size, SIZE))
    recipe = recipe_of(options)
    claims = measure_claims(
        loaded,
        photos,
        options.layer or stages(loaded, photos),
        options.filters,
        judge=_judge(loaded, options, photos.shape[-1]),
        recipe=recipe,
        seed=options.seed,
    )
    made = record_of(options, loaded, recipe, [options.photos] if options.photos else [])
    _write(claims, out, made)
    return f"{as_text(claims)}\n\nwrote {out}"


def _judge(loaded: LoadedModel, options: argparse.Namespace, edge: int) -> Judge:
    if options.judge is None and options.judge_model is not None:
        raise ArgumentError("--judge-model needs --judge, the layer that compares pictures")
    if options.judge is None:
        return RandomJudge()
    if options.judge_model is not None:
        loaded = load_model(options.judge_model).on(options.device)
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


def _write(claims: Claims, out: Path, made: Record) -> None:
    from captum_featinv.studies.claims.figures import figures, textures

    # All are made before one is written, so that an error leaves the old ones as they are.
    files = {
        "claims.json": as_json({"made": made, **claims.to_dict()}),
        "claims.txt": f"{as_text(claims)}\n".encode(),
        "textures.png": as_png(textures(claims), made),
    }
    for name, figure in figures(claims).items():
        content = io.BytesIO()
        figure.savefig(content, format="png", metadata={KEY: as_line(made)})
        files[name] = content.getvalue()
    out.mkdir(exist_ok=True)
    for name, content_of in files.items():
        write_whole(out / name, content_of)
