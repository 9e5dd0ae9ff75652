"""Make an atlas: the texture of every live filter of some layers, with its figures."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from torch import Tensor

from captum_featinv.optimization.recipe import Recipe
from captum_featinv.progress import stages
from captum_featinv.studies.atlas.folder import Folder
from captum_featinv.studies.atlas.plan import planned
from captum_featinv.studies.atlas.running import run
from captum_featinv.studies.atlas.source import Source, loaded_from
from captum_featinv.studies.atlas.survey import survey
from captum_featinv.studies.atlas.work import How, Row
from captum_featinv.writing import require_writable_folder


def atlas(
    source: Source,
    photos: Mapping[str, Tensor],
    layers: Sequence[str],
    *,
    out: str | Path | None = None,
    photos_a_filter: int = 1,
    recipe: Recipe | None = None,
    seed: int = 0,
    part: tuple[int, int] = (1, 1),
    overwrite: bool = False,
    executor: Executor | None = None,
    internal_batch_size: int | None = None,
) -> Iterator[Row]:
    """The texture of every live filter, one row a picture, as they come.

    A row has `layer`, `filter`, `photo`, `image` and `map` (PNGs: its texture, and where it fires on
    the photo), the figures of `FilterRecord`, `edges` (the share of pixels at an edge) and `seconds`.
    With a folder, what is there is not made again, so that an atlas which was stopped, at any moment,
    goes on; its rows are handed out likewise.

    Args:
        source: the network, or a `Named` one, which processes of their own load once each.
        photos: displayable images, (1, C, H, W), by name. All of them are looked at; pictures are made
            from those on which a filter has the largest part of its layer's energy.
        layers: their names.
        out: a folder to keep the atlas in, a Parquet file a piece of work.
        photos_a_filter: from how many photos each filter is shown.
        recipe: how to look for the pictures.
        seed: of their start noise and distortions.
        part: (i, n), to make every n-th piece of work alone, the i-th from 1 on.
        overwrite: whether the folder may lose an atlas that differs.
        executor: who does the work: any `concurrent.futures.Executor`, such as a pool of processes
            or `dask.distributed.Client(...).get_executor(pure=False, retries=3)`.
        internal_batch_size: images in one forward.

    Returns:
        The rows, one after the other; nothing is made before the first is asked for.

    Raises:
        ArgumentError: the folder holds another atlas; or no photos, layers, or such part.
        LayerError: a layer puts out no maps.
        MissingExtraError: pyarrow is not installed, and there is a folder.
        OSError: nothing can be written to the folder; it is tried before anything else.
    """
    recipe = Recipe.default() if recipe is None else recipe
    if out is not None:
        # Better now than after a thousand photos were looked at.
        require_writable_folder(next(p for p in (Path(out), *Path(out).parents) if p.exists()))
    loaded = loaded_from(source)
    with stages({"looking at the photos": 1, "textures": 20}) as at:
        at("looking at the photos")
        found = survey(loaded, photos, layers)
        plan = planned(loaded, photos, found, recipe, seed=seed, photos_a_filter=photos_a_filter)
        shards, shown = plan.part(*part), dict(photos)
        at("textures")
        how = How(recipe, seed, internal_batch_size)
        if out is None:
            for _, rows in run(source, shown, shards, how, executor):
                yield from rows
            return
        folder = Folder(out)
        folder.open(plan, overwrite=overwrite)
        folder.keep_photos(shown)
        names = list(shown)
        folder.keep_survey(
            [row for n, one in found.items() for row in one.strongest_places(n, names)]
        )
        yield from folder.rows(shards)
        missing = [shard for shard in shards if not folder.has(shard)]
        told = {
            "captum_featinv": str(plan.settings["captum_featinv"]),
            "weights": plan.settings["weights"],
        }
        for shard, rows in run(source, shown, missing, how, executor):
            folder.keep(shard, rows, told)
            yield from rows
        if all(map(folder.has, plan.shards)):
            folder.tidy()
