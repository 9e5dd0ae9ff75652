"""captum-featinv atlas: the texture of every live filter, in a folder."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from captum_featinv.cli.model import add_model
from captum_featinv.cli.options import add_precision, at_least_one, recipe_of, seed
from captum_featinv.cli.photos import add_crop, add_size, as_taken, edge_of
from captum_featinv.cli.telling import tell
from captum_featinv.errors import ArgumentError
from captum_featinv.images.files import open_picture
from captum_featinv.images.folder import picture_files, readable
from captum_featinv.models import LoadedModel
from captum_featinv.network.patterns import layers_like
from captum_featinv.studies.atlas import Named, atlas, cluster
from captum_featinv.studies.gallery import write_gallery

_SIZE = 128


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.set_defaults(command=_run)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", type=Path, help="pictures or folders")
    add_model(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        required=True,
        metavar="NAME",
        help="names or patterns: features.8, relu3_2, 'features.*'; a pattern means the activation "
        "functions that it fits",
    )
    parser.add_argument("--out", type=Path, default=Path("atlas"), help="a folder; default atlas")
    parser.add_argument(
        "--photos-per-filter",
        type=at_least_one,
        default=1,
        metavar="N",
        help="from how many photos each filter is shown, those on which it has the largest share of "
        "its layer's energy; default 1",
    )
    parser.add_argument("--steps", type=at_least_one, metavar="N", help="overrides the recipe's")
    add_precision(parser)
    add_size(parser, _SIZE)
    add_crop(parser)
    parser.add_argument("--seed", type=seed, default=0)
    _add_workers(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="the folder may lose another atlas"
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shard",
        type=part,
        default=(1, 1),
        metavar="I/N",
        help="make every N-th piece alone, the I-th from 1 on, as in a Slurm array",
    )
    parser.add_argument(
        "--device", default="cpu", help="cuda, cuda:1 or mps, here and in each worker; default cpu"
    )
    parser.add_argument(
        "--workers", type=at_least_one, metavar="N", help="processes on this machine, by Dask"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://host:8786")


def part(text: str) -> tuple[int, int]:
    """`2/8`: the second of eight."""
    number, slash, of = text.partition("/")
    found = (int(number), int(of)) if number.isdecimal() and of.isdecimal() else (0, 0)
    if not slash or not 1 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no part such as 2/8, from 1/8 to 8/8")
    return found


def _run(options: argparse.Namespace) -> None:
    source = _source(options)
    loaded = source.load()
    edge = edge_of(loaded, options.size, _SIZE)
    photos = {
        name: as_taken(picture, loaded, edge, crop=options.crop)
        for name, picture in _pictures(options.photos)
    }
    layers = _layers(loaded, photos, options.layers)
    with cluster(options.scheduler, options.workers) as executor:
        rows = atlas(
            source,
            photos,
            layers,
            out=options.out,
            photos_a_filter=options.photos_per_filter,
            recipe=recipe_of(options),
            seed=options.seed,
            part=options.shard,
            overwrite=options.overwrite,
            executor=executor,
        )
        shown = tqdm(rows, unit=" pictures", disable=not sys.stderr.isatty())
        silent = [bool(row["silent"]) for row in shown]
    tell(
        f"{len(silent)} pictures of {len(layers)} layers in {options.out}; in {sum(silent)} of them "
        "the filter never fires"
    )
    if options.shard == (1, 1):
        tell(f"open {write_gallery(options.out)} in a browser")


def _source(options: argparse.Namespace) -> Named:
    return Named(
        options.model,
        options.weights,
        options.pooling,
        options.mean,
        options.std,
        options.channels,
        options.device,
    )


def _layers(loaded: LoadedModel, photos: dict[str, Tensor], patterns: list[str]) -> list[str]:
    first = loaded.normalization.to_model(next(iter(photos.values())))
    return layers_like(loaded.model, first, patterns)


def _pictures(paths: Sequence[Path]) -> Iterator[tuple[str, Image.Image]]:
    """By their files' names; those in folders as far as they can be read."""
    seen: set[str] = set()
    for name, picture in _all(paths):
        if name in seen:
            raise ArgumentError(
                f"two photos are called {name!r}; an atlas names them by their files"
            )
        seen.add(name)
        yield name, picture
    if not seen:
        raise ArgumentError(f"no pictures in {', '.join(repr(str(path)) for path in paths)}")


def _all(paths: Sequence[Path]) -> Iterator[tuple[str, Image.Image]]:
    for path in paths:
        if path.is_dir():
            yield from readable(picture_files(path))
        else:
            yield path.name, open_picture(path)
