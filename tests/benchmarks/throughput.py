"""How many pictures an atlas makes in a minute: `python -m tests.benchmarks.throughput --help`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from torch.utils.flop_counter import FlopCounterMode

from captum_featinv import Recipe
from captum_featinv.network.patterns import layers_like
from captum_featinv.studies.atlas import Named, atlas
from captum_featinv.studies.atlas.plan import Shard
from captum_featinv.studies.atlas.source import loaded_from
from captum_featinv.studies.atlas.survey import survey
from captum_featinv.studies.atlas.work import How, work
from tests.benchmarks.grid import photo

# What a GPU sustains in float32, for an estimate: half of what an A100's data sheet says.
TERAFLOPS = 10.0


@dataclass(frozen=True)
class Rate:
    """Of a layer: its filters, and what a picture takes."""

    layer: str
    filters: int
    seconds: float
    gigaflop: float

    def line(self) -> str:
        """A row of the table."""
        minutes = self.filters * self.seconds / 60
        there = self.filters * self.gigaflop / TERAFLOPS / 1000 / 60
        return (
            f"| {self.layer} | {self.filters} | {self.seconds:.2f} | {60 / self.seconds:.0f} "
            f"| {minutes:.0f} | {self.gigaflop:.0f} | {there:.1f} |"
        )


def rate(named: Named, layer: str, size: int) -> Rate:
    """Measured on one piece of work, 16 pictures; its operations are counted on one picture."""
    loaded = loaded_from(named)
    shown = photo("chelsea", size)
    energy = survey(loaded, {"cat": shown}, [layer])[layer].energy
    filters = energy.shape[1]
    rows = list(atlas(named, {"cat": shown}, [layer], part=(1, -(-filters // 16))))
    one = Shard(layer, "cat", (int(energy.argmax()),))
    with FlopCounterMode(display=False) as counter:
        work(named, shown, one, How(Recipe.default(), 0))
    return Rate(
        layer, filters, fmean(row["seconds"] for row in rows), counter.get_total_flops() / 1e9
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vgg16")
    parser.add_argument("--weights", default="hed")
    parser.add_argument("--layers", nargs="+", default=["*"], help="names or patterns")
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args(arguments)
    named = Named(options.model, options.weights)
    loaded = named.load()
    inputs = loaded.normalization.to_model(photo("chelsea", options.size))
    print(f"{options.model}, {options.size} px, one photo")
    print(
        "| layer | filters | s a picture | pictures a minute | minutes for all | GFLOP a picture "
        f"| minutes at {TERAFLOPS:.0f} TFLOP/s |\n|---|---|---|---|---|---|---|"
    )
    rates = []
    for layer in layers_like(loaded.model, inputs, options.layers):
        rates.append(rate(named, layer, options.size))
        print(rates[-1].line(), flush=True)
    filters = sum(one.filters for one in rates)
    hours = sum(one.filters * one.seconds for one in rates) / 3600
    there = sum(one.filters * one.gigaflop for one in rates) / TERAFLOPS / 1000 / 60
    print(f"all {filters} filters: {hours:.1f} hours here, {there:.0f} minutes at that rate")


if __name__ == "__main__":
    main()
