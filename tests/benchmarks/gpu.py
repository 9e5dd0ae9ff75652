"""What a GPU makes of it: `python -m tests.benchmarks.gpu`; without one nothing is measured.

Of each layer and precision: seconds a picture by the default recipe, milliseconds a step beside the
bare network's forward and backward, memory, and the mean share of the textures beside the CPU's. Then a
step of our `render_vis` beside one of Lucent's.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, Recipe, param, render
from captum_featinv.models import load_model
from captum_featinv.optimization.precision import candidates
from tests.benchmarks.grid import photo

LAYERS = ("features.3", "features.8", "features.13", "features.20", "features.27")
ROUNDS = 5
STEPS = 40
HEAD = (
    "| layer | precision | s a picture | ms a step | bare ms | ratio | MB | share | on the CPU |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def seconds_of(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of some rounds, after one that does not count."""
    taken = []
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        start = perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(perf_counter() - start)
    return median(taken[1:])


def bare_step(prefix: nn.Module, images: Tensor, recipe: Recipe) -> Callable[[], object]:
    """Forward, squared error and backward by hand, in the recipe's precision."""
    way = candidates(recipe.precision, [images])[0]
    target = prefix(images).detach()
    asked = torch.zeros_like(images).requires_grad_()

    def step() -> object:
        with way.active(images.device):
            code = prefix(asked.contiguous(memory_format=way.format_of(asked))).float()
        return torch.autograd.grad((code - target).square().sum(), asked)

    return step


def row(model: nn.Module, layer: str, inputs: Tensor, filters: Sequence[int], name: str) -> str:
    """A line of the table, measured on the GPU, its last cell on the CPU."""
    recipe = Recipe.default(n_steps=STEPS, tolerance=None, precision=name)  # type: ignore[arg-type]
    fmi = FeatureMapInversion(model, layer, recipe=recipe)
    torch.cuda.reset_peak_memory_stats()
    whole = seconds_of(lambda: fmi.attribute(inputs, list(filters)))
    memory = torch.cuda.max_memory_allocated() / 1024**2
    prefix = nn.Sequential(*list(model)[: int(layer) + 1])
    bare = seconds_of(bare_step(prefix, inputs.expand(len(filters), -1, -1, -1), recipe))
    share = mean_share(fmi, inputs, filters)
    there = share_on_the_cpu(model, layer, inputs, filters)
    step = whole / STEPS
    return (
        f"| {layer} | {name} | {whole / len(filters):.3f} | {1000 * step:.2f} | {1000 * bare:.2f} "
        f"| {step / bare:.2f} | {memory:.0f} | {share:.3f} | {there:.3f} |"
    )


def mean_share(fmi: FeatureMapInversion, inputs: Tensor, filters: Sequence[int]) -> float:
    """Of the textures, as saved."""
    report = fmi.report(fmi.attribute(inputs, list(filters)), inputs, list(filters))
    return sum(record.share for record in report) / len(filters)


def share_on_the_cpu(model: nn.Module, layer: str, inputs: Tensor, filters: Sequence[int]) -> float:
    """The same in float32 on the CPU, from the same seed."""
    recipe = Recipe.default(n_steps=STEPS, tolerance=None, precision="float32")
    try:
        fmi = FeatureMapInversion(model.to("cpu"), layer, recipe=recipe)
        return mean_share(fmi, inputs.cpu(), filters)
    finally:
        model.to(inputs.device)


def beside_lucent(model: nn.Module) -> str:
    """Milliseconds of a step of each at relu2_2, 224 px, without transforms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from lucent.optvis import param as their_param
            from lucent.optvis import render as theirs
        except ImportError:
            return "Lucent is not installed"
        told = {}
        for name, call, made in (
            ("ours", render.render_vis, param), ("Lucent", theirs.render_vis, their_param),
        ):  # fmt: skip
            seconds = seconds_of(
                lambda call=call, made=made: call(
                    model,
                    "8:3",
                    lambda: made.image(224),
                    transforms=[],
                    thresholds=(STEPS,),
                    progress=False,
                    show_image=False,
                ),
                rounds=3,
            )
            told[name] = 1000 * seconds / STEPS
    return ", ".join(f"{name} {value:.2f} ms a step" for name, value in told.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--filters", type=int, default=16, help="a layer, in one batch")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device here: not measured")
        return
    loaded = load_model("vgg16", "hed", "average").on("cuda")
    model = loaded.model.features
    inputs = loaded.normalization.to_model(photo("chelsea", options.size)).to("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.size} px")
    print(HEAD)
    for layer in LAYERS:
        for name in ("float32", "bfloat16"):
            print(row(model, layer.removeprefix("features."), inputs, range(options.filters), name))
    print(beside_lucent(model))


if __name__ == "__main__":
    main()
