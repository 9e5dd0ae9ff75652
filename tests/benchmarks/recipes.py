"""Judge recipes by the pictures that they save: `python -m tests.benchmarks.recipes --help`.

Every cell of the grid (network, pooling, size, layer, draw, stratum, photo, recipe) is written when
it is done, so a run that was stopped goes on where it was. At its end come a table a stratum and a
contact sheet. Filters on which a recipe was tuned and those of a final table belong to other draws.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from captum_featinv.images.display import to_picture
from captum_featinv.images.sheet import contact_sheet
from tests.benchmarks.figures import Figures, summary, tables
from tests.benchmarks.grid import AUTHORS, NETWORKS, PHOTOS, Cell, Setting, cell, chosen
from tests.benchmarks.recipe_book import BOOK
from tests.benchmarks.strata import STRATA


def judge(options: argparse.Namespace) -> None:
    """Fill the grid, print its tables, draw its sheets."""
    options.out.mkdir(parents=True, exist_ok=True)
    photos = tuple(list(PHOTOS)[: options.photos])
    counts = dict(zip(STRATA, (options.filters, options.faint), strict=True))
    for pooling, size, stratum in product(options.poolings, options.sizes, STRATA):
        settings = [
            Setting(
                options.network,
                pooling,
                size,
                layer,
                photos,
                counts[stratum],
                stratum,
                options.draw,
            )
            for layer in options.layers
        ]
        print(f"\n{settings[0].key}\nfilters: {told(settings)}", flush=True)
        settings = [setting for setting in settings if with_filters(setting)]
        if settings:
            judge_stratum(options.out, settings, options.recipes)


def told(settings: Sequence[Setting]) -> str:
    """How many filters there are, where there are fewer than asked for."""
    few = [
        f"{len(chosen(setting, one))} at {setting.layer} in {one}"
        for setting, one in product(settings, settings[0].photos)
        if len(chosen(setting, one)) < setting.filters
    ]
    return ", but ".join([f"{settings[0].filters} a layer", *([", ".join(few)] if few else [])])


def with_filters(setting: Setting) -> list[str]:
    """The photos on which there are filters to judge."""
    return [one for one in setting.photos if chosen(setting, one)]


def judge_stratum(out: Path, settings: Sequence[Setting], names: Sequence[str]) -> None:
    """A table and a sheet of one stratum, all layers and recipes."""
    found: dict[tuple[str, str], Figures] = {}
    rows: dict[str, Cell] = {}
    for setting, name in product(settings, names):
        cells = [cell(out, setting, one, name) for one in with_filters(setting)]
        found[setting.layer, name] = summary(cells, NETWORKS[setting.network].judge)
        rows[f"{setting.layer}\n{name}"] = cells[0]
        print(f"{setting.layer} {name}: {found[setting.layer, name]['seconds']:.1f} s", flush=True)
    print("", *tables(found, names), sep="\n", flush=True)
    pictures = [
        [to_picture(one.permute(1, 2, 0).numpy()) for one in row.pictures] for row in rows.values()
    ]
    # Of all layers at once.
    key = replace(settings[0], layer="all") if len(settings) > 1 else settings[0]
    contact_sheet(pictures, list(rows), []).save(out / f"sheet-{key.key}.png")


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="recipes", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="12 filters, 3 photos, 2 sizes, all poolings"
    )
    parser.add_argument(
        "--recipes", nargs="+", default=["default"], choices=BOOK, metavar="R",
        help="the authors' is always judged too, before and after its last step",
    )  # fmt: skip
    parser.add_argument("--network", default="vgg16", choices=NETWORKS)
    parser.add_argument("--layers", nargs="+", help="by default all that are known of the network")
    parser.add_argument("--photos", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--filters", type=int, default=6, help="live ones a layer")
    parser.add_argument("--faint", type=int, default=3, help="live and faint ones a layer")
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="another seed, others")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--poolings", nargs="+", choices=("average", "max"))
    parser.add_argument("--out", type=Path, default=Path(".benchmarks/recipes"))
    options = parser.parse_args(arguments)
    network = NETWORKS[options.network]
    if options.full:
        options.photos, options.filters = 3, 12
    options.sizes = options.sizes or ([network.size, 224] if options.full else [network.size])
    options.layers = options.layers or list(network.layers)
    poolings = list(network.poolings)
    if options.poolings and not set(options.poolings) <= set(poolings):
        parser.error(f"{options.network} has no pooling to choose")
    options.poolings = options.poolings or (poolings if options.full else poolings[:1])
    unknown = [layer for layer in options.layers if layer not in network.layers]
    if unknown:
        known = ", ".join(network.layers)
        parser.error(f"--layers {', '.join(unknown)}: of {options.network} there are {known}")
    options.recipes = [*(n for n in options.recipes if n not in AUTHORS), *AUTHORS]
    return options


if __name__ == "__main__":
    judge(parsed())
