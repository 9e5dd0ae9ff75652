"""What an atlas is made of: which filters, from which photos, in which pieces of work."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

import captum_featinv
from captum_featinv.errors import ArgumentError
from captum_featinv.images.display import as_saved
from captum_featinv.models import LoadedModel
from captum_featinv.network.digest import digest_of
from captum_featinv.optimization.precision import name_of
from captum_featinv.optimization.recipe import Recipe
from captum_featinv.studies.atlas.survey import Survey

# Pictures in a piece of work: enough that its file is worth opening, few enough that little is lost.
PICTURES = 16


@dataclass(frozen=True)
class Shard:
    """A piece of work: some filters of a layer from one photo. Its name says where its file is.

    Args:
        layer: its name.
        photo: its name.
        filters: their numbers, at most 16.
    """

    layer: str
    photo: str
    filters: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of its file, the same for the same work and no other."""
        said = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()[:12]
        layer = "".join(
            letter if letter.isalnum() or letter in "._-" else "_" for letter in self.layer
        )
        # What begins with a dot or an underline is passed over by readers of whole folders.
        return f"layer-{layer}-{self.filters[0]:05d}-{digest}"


@dataclass(frozen=True)
class Plan:
    """All that an atlas depends on, as plain values, and its pieces of work.

    Args:
        settings: what pictures depend on: model, weights, photos, recipe, precision, seed,
            versions.
        shards: the pieces of work.
        silent: of each layer, the filters that no photo can tell about.
    """

    settings: Mapping[str, Any]
    shards: tuple[Shard, ...]
    silent: Mapping[str, list[int]]
    """of each layer, the filters that no photo can tell about"""

    def part(self, number: int, of: int) -> tuple[Shard, ...]:
        """Every so many-th piece of work, counted from 1.

        Args:
            number: which part, from 1 on.
            of: how many parts there are.

        Returns:
            The pieces of that part.

        Raises:
            ArgumentError: there is no such part.
        """
        if not 1 <= number <= of:
            raise ArgumentError(f"there is no part {number} of {of}; parts are 1/{of} to {of}/{of}")
        return self.shards[number - 1 :: of]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        plain: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "settings": dict(self.settings),
                    "silent": dict(self.silent),
                    "shards": [asdict(shard) for shard in self.shards],
                }
            )
        )
        return plain

    def differences(self, kept: Mapping[str, Any]) -> list[str]:
        """How an atlas that was begun differs, a sentence a setting.

        Args:
            kept: what `to_dict` of the other one gave.

        Returns:
            Sentences; none where the two are the same.
        """
        mine, theirs = self.to_dict(), dict(kept)
        new, old = mine["settings"], theirs.get("settings", {})
        said = [
            f"{name} was {_short(old.get(name))}, not {_short(new.get(name))}"
            for name in new | old
            if old.get(name) != new.get(name)
        ]
        if not said and mine != theirs:
            said.append("it has other filters")
        return said


def planned(
    loaded: LoadedModel,
    photos: Mapping[str, Tensor],
    found: Mapping[str, Survey],
    recipe: Recipe,
    *,
    seed: int = 0,
    photos_a_filter: int = 1,
) -> Plan:
    """The plan of every live filter's textures.

    Args:
        loaded: the network.
        photos: displayable images, (1, C, H, W), by name.
        found: what `survey` found at each layer.
        recipe: how to look for the pictures.
        seed: of their start noise and distortions.
        photos_a_filter: from how many photos each is shown, those on which it has the largest share.
    """
    if photos_a_filter < 1:
        raise ArgumentError(f"a filter is shown from 1 photo or more. Given: {photos_a_filter}")
    names = list(photos)
    shards = [
        shard
        for layer, seen in found.items()
        for shard in _shards(layer, seen.best_photos(photos_a_filter), names)
    ]
    one = next(iter(photos.values()))
    settings = {
        "model": loaded.description,
        "weights": digest_of(loaded.model.state_dict()),
        "layers": list(found),
        "view": None if loaded.view is None else repr(loaded.view),
        "photos": {name: digest_of({"photo": as_saved(p)}) for name, p in photos.items()},
        "photos_a_filter": photos_a_filter,
        "recipe": str(recipe),
        "device": loaded.device.type,
        "precision": name_of(recipe.precision, [one.to(loaded.device)]),
        "seed": seed,
        "captum_featinv": captum_featinv.__version__,
        "torch": torch.__version__,
    }
    silent = {layer: seen.silent for layer, seen in found.items()}
    return Plan(settings, tuple(shards), silent)


def _shards(layer: str, best: Sequence[Sequence[int]], names: Sequence[str]) -> Iterator[Shard]:
    """Photo by photo, so that its code is read once a piece."""
    for number, name in enumerate(names):
        filters = [k for k, chosen in enumerate(best) if number in chosen]
        for start in range(0, len(filters), PICTURES):
            yield Shard(layer, name, tuple(filters[start : start + PICTURES]))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} letters)"
