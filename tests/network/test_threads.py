"""Threads: hooks act in the run that set them, and one call at a time changes what all share."""

from collections.abc import Callable
from functools import partial
from threading import Event, Thread

import torch
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion
from captum_featinv.network.activations import Activations
from captum_featinv.network.hooking.hooks import observe

_ROUNDS = 10


def small(seed: int = 0, *, dropout: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    extra = [nn.Dropout()] if dropout else []
    return nn.Sequential(nn.Conv2d(3, 6, 3), *extra, nn.ReLU(), nn.Conv2d(6, 4, 1)).eval()


def together(*works: Callable[[], object]) -> None:
    """Run all at once, and raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def check_as_serial(models: list[nn.Module], layers: list[str]) -> None:
    """Two threads find what one finds after the other, and leave the dice alone."""
    photos = [torch.rand(1, 3, 9, 8) * 4 - 2 for _ in models]

    def picture(i: int) -> Tensor:
        return FeatureMapInversion(models[i], layers[i]).attribute(photos[i], 0, n_steps=3, seed=i)

    def keep(found: dict[int, Tensor], i: int) -> None:
        found[i] = picture(i)

    expected = [picture(i) for i in range(2)]
    before = torch.random.get_rng_state()
    for _ in range(_ROUNDS):
        found: dict[int, Tensor] = {}
        together(*(partial(keep, found, i) for i in range(2)))
        assert all(torch.equal(found[i], expected[i]) for i in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(module._forward_hooks for model in models for module in model.modules())


def test_two_threads_on_one_layer_find_what_one_finds() -> None:
    model = small()
    check_as_serial([model, model], ["1", "1"])


def test_two_threads_on_two_layers_find_what_one_finds() -> None:
    model = small()
    check_as_serial([model, model], ["0", "2"])


def test_two_threads_with_models_of_their_own_find_what_one_finds() -> None:
    check_as_serial([small(1), small(2)], ["1", "1"])


def test_two_threads_that_draw_dropout_find_what_one_finds(recwarn: object) -> None:
    models = [small(1, dropout=True).train(), small(2, dropout=True).train()]
    check_as_serial(models, ["2", "2"])


def test_a_thread_that_only_calls_the_model_sees_its_own_results() -> None:
    model, done = small(), Event()
    photo, other = torch.rand(1, 3, 9, 8) * 4 - 2, torch.rand(2, 3, 7, 7)
    expected = model(other).detach()
    alone = FeatureMapInversion(model, "1").attribute(photo, 0, n_steps=60)
    seen = []

    def serve() -> None:
        while not done.is_set() or len(seen) < 5:
            with torch.no_grad():
                seen.append(torch.equal(model(other), expected))

    def explain() -> None:
        try:
            found = FeatureMapInversion(model, "1").attribute(photo, 0, n_steps=60)
            assert torch.equal(found, alone)
        finally:
            done.set()

    together(serve, explain)
    assert len(seen) >= 5
    assert all(seen)


def test_what_another_thread_runs_is_not_observed() -> None:
    model, seen = small(), []
    with observe(model, {"1": model[1]}, lambda name, output: seen.append(output.shape[0])):
        together(lambda: model(torch.rand(3, 3, 5, 5)))
        model(torch.rand(2, 3, 5, 5))
    assert seen == [2]


def test_a_replica_speaks_from_a_thread_of_its_own_and_is_stopped_there() -> None:
    """As under DataParallel, which tells apart by type what its workers raise."""
    layer, after = nn.ReLU(), []

    def model(image: Tensor) -> None:
        replica = layer._replicate_for_data_parallel()

        def work() -> None:
            try:
                replica(image)
                after.append(1)
            except Exception as error:
                raised.append(error)

        raised: list[Exception] = []
        thread = Thread(target=work)
        thread.start()
        thread.join()
        for error in raised:
            raise type(error)("in replica 0")

    with Activations(model, {"relu": layer}) as activations:
        for _ in range(4):
            image = torch.randn(2, 3)
            activations.run(image)
            assert torch.equal(activations("relu"), image.relu())
    assert len(after) == 2
