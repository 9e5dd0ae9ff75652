"""One run after another: what each is given, when the block may be used, and what a failure leaves."""

from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from captum_featinv.errors import ForwardError, LayerError
from captum_featinv.network.activations import Activations
from tests.inversion.replicas import Replicas


class Watched(nn.Module):
    """Three layers, told what they are given; writes into it, or fails, when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Identity(), nn.Tanh(), nn.Sigmoid()
        self.given: list[tuple[Any, ...]] = []
        self.writes, self.error, self.completed = False, None, 0

    def forward(self, image: Tensor, *more: Any) -> Tensor:
        self.given.append((image, *more))
        if self.writes:
            image.mul_(2)
        code = self.second(self.first(image))
        if self.error:
            raise self.error
        code = self.last(code)
        self.completed += 1
        return code


@pytest.fixture
def model() -> Watched:
    return Watched().eval()


def opened(model: nn.Module, *names: str) -> Activations:
    return Activations(model, {name: model.get_submodule(name) for name in names})


# --- what a run is given -----------------------------------------------------------------------


@pytest.mark.parametrize(("own", "expected"), [(0, [False] * 3), (2, [True, True, False])])
def test_what_was_made_for_the_run_needs_no_clone_once_its_way_is_known(
    model: Watched, own: int, expected: list[bool]
) -> None:
    given = [torch.rand(2, 3) for _ in range(3)]
    with opened(model, "second") as activations:
        for run in range(6):
            activations.run(*given, own=own)
            same = [one is other for one, other in zip(model.given[-1], given, strict=True)]
            assert same == (expected if run > 2 else [False] * 3)
            assert_close(activations("second"), given[0].tanh())


def test_all_of_it_may_be_ones_own(model: Watched) -> None:
    image = torch.rand(2, 3)
    with opened(model, "second") as activations:
        for _ in range(5):
            activations.run(image, own=1)
    assert [given[0] is image for given in model.given] == [False] * 3 + [True] * 2


def test_a_model_that_writes_into_its_inputs_gets_clones_also_of_ones_own(model: Watched) -> None:
    model.writes = True
    image = torch.rand(2, 3)
    before = image.clone()
    with opened(model, "second") as activations:
        for _ in range(5):
            activations.run(image, own=1)
            assert_close(activations("second"), (2 * before).tanh())
    assert torch.equal(image, before)


def test_what_nobody_overwrites_is_not_copied_once_its_way_is_known(model: Watched) -> None:
    said: dict[str, Tensor] = {}
    for name in ("second", "last"):
        module = model.get_submodule(name)
        module.register_forward_hook(lambda *what, name=name: said.update({name: what[2]}))
    with opened(model, "second", "last") as activations:
        for run in range(5):
            activations.run(torch.rand(2, 3))
            same = [activations(name) is output for name, output in said.items()]
            assert same == [run > 1] * 2


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5])
def test_an_output_that_is_the_input_itself_is_not_the_callers_tensor(
    model: Watched, runs: int
) -> None:
    image = torch.rand(2, 3)
    with opened(model, "first") as activations:
        for _ in range(runs):
            activations.run(image)
        activations("first").zero_()
    assert image.min() > 0


def test_the_batch_is_told_by_the_first_tensor_that_has_rows() -> None:
    layer = nn.Identity()

    def model(_name: str, _gain: Tensor, images: Tensor, _other: Tensor) -> None:
        for row in images.split(1):
            layer(row)

    images = torch.rand(3, 2)
    with Activations(model, {"layer": layer}) as activations:
        for _ in range(3):
            activations.run("name", torch.tensor(2.0), images, torch.rand(5, 2))
            assert torch.equal(activations("layer"), images)


class Counting(nn.Module):
    """A layer once, or three times where something is so."""

    def __init__(self, often: Any) -> None:
        super().__init__()
        self.layer, self.often = nn.Tanh(), often

    def forward(self, image: Tensor, *_: Tensor) -> Tensor:
        for _ in range(3 if self.often(image) else 1):
            image = self.layer(image)
        return image


def test_a_first_run_with_gradients_is_complete_also_where_the_leaf_is_the_same() -> None:
    model = Counting(lambda image: image.requires_grad)
    image = torch.rand(1, 2, requires_grad=True)
    with Activations(model, {"layer": model.layer}) as activations:
        with torch.no_grad():
            for _ in range(3):
                activations.run(image)
        for _ in range(3):
            activations.run(image)
            assert_close(activations("layer"), image.tanh().tanh().tanh())


@pytest.mark.parametrize("more", [(), (torch.rand(4),)], ids=["alone", "with a table"])
def test_a_first_run_of_several_images_is_complete(more: tuple[Tensor, ...]) -> None:
    model = Counting(lambda image: len(image) > 1)
    with Activations(model, {"layer": model.layer}) as activations:
        for rows in (1, 1, 1, 2, 2, 1):
            image = torch.rand(rows, 2)
            activations.run(image, *more)
            assert_close(activations("layer"), model(image))


def test_a_known_way_that_ends_early_is_gone_again_in_full_and_never_taken_for_known_again() -> (
    None
):
    image, numbers = torch.rand(1, 2), iter([3, 3, 3, 3, 1, 1, 3, 4])
    layer = nn.Tanh()

    def model(image: Tensor) -> Tensor:
        for _ in range(next(numbers)):
            image = layer(image)
        return image

    with Activations(model, {"layer": layer}) as activations:
        for number in (3, 3, 3, 3, 1, 3, 4):
            activations.run(image)
            expected = image
            for _ in range(number):
                expected = expected.tanh()
            assert_close(activations("layer"), expected)


# --- when it may be asked ----------------------------------------------------------------------


def test_there_is_no_output_before_the_first_run_and_none_after_the_block(model: Watched) -> None:
    activations = opened(model, "second")
    with activations:
        with pytest.raises(LayerError, match="no output yet"):
            activations("second")
        for _ in range(5):
            activations.run(torch.rand(2, 3))
            activations("second")
    with pytest.raises(LayerError, match="no output yet"):
        activations("second")


def test_a_block_may_be_entered_again(model: Watched) -> None:
    activations, image = opened(model, "second"), torch.rand(2, 3)
    for _ in range(2):
        with activations:
            activations.run(image)
            assert_close(activations("second"), image.tanh())
        assert not model.second._forward_hooks


@pytest.mark.parametrize("before", [0, 1, 2, 3, 5])
def test_a_layer_that_is_added_is_seen_and_the_next_two_runs_are_complete(
    model: Watched, before: int
) -> None:
    image = torch.rand(2, 3)
    with opened(model, "first") as activations:
        for _ in range(before):
            activations.run(image)
        activations.add("second", model.second)
        completed = model.completed
        for _ in range(4):
            activations.run(image)
            assert torch.equal(activations("first"), image)
            assert_close(activations("second"), image.tanh())
    assert model.completed == completed + 2
    assert not model.second._forward_hooks


def test_an_added_layer_that_never_runs_is_named(model: Watched) -> None:
    with opened(model, "first") as activations:
        for _ in range(4):
            activations.run(torch.rand(2, 3))
        activations.add("other", nn.ReLU())
        with pytest.raises(LayerError, match="given layer other: it did not run when"):
            activations.run(torch.rand(2, 3))


def test_all_layers_that_never_run_are_named(model: Watched) -> None:
    layers = {"one": nn.ReLU(), "last": model.last, "two": nn.ReLU()}
    with (
        Activations(model, layers) as activations,
        pytest.raises(LayerError, match="given layer one, two: it did not run"),
    ):
        activations.run(torch.rand(2, 3))


def test_on_a_known_way_only_the_last_call_is_looked_at_and_picked_from() -> None:
    layer, image, seen = nn.Tanh(), torch.rand(1, 2), []

    def pick(output: Tensor) -> Tensor:
        seen.append(output)
        return 2 * output

    with Activations(
        lambda image: layer(layer(image)), {"layer": layer}, select={"layer": pick}
    ) as activations:
        for run in range(5):
            seen.clear()
            activations.run(image)
            assert_close(activations("layer"), 2 * image.tanh().tanh())
            assert run < 3 or len(seen) == 1


# --- what a failure leaves ---------------------------------------------------------------------


@pytest.mark.parametrize("when", [0, 1, 2, 3, 4])
def test_a_run_that_failed_spoils_none_after_it(model: Watched, when: int) -> None:
    with opened(model, "second", "last") as activations:
        for run in range(when + 4):
            image = torch.rand(2, 3)
            model.error = KeyError("mine") if run == when else None
            if model.error:
                with pytest.raises(KeyError, match="mine"):
                    activations.run(image)
                continue
            activations.run(image)
            assert_close(activations("second"), image.tanh())
            assert_close(activations("last"), image.tanh().sigmoid())


def test_only_the_first_runs_failure_is_about_the_inputs(model: Watched) -> None:
    image = torch.rand(2, 3)
    with opened(model, "last") as activations:
        model.error = RuntimeError("mine")
        with pytest.raises(ForwardError, match=r"shape \(2, 3\): mine\. Does it take"):
            activations.run(image)
        model.error = None
        activations.run(image)
        model.error = RuntimeError("mine")
        with pytest.raises(RuntimeError, match=r"^mine$") as caught:
            activations.run(image)
    assert caught.value is model.error


@pytest.mark.skipif(not hasattr(BaseException, "add_note"), reason="Python 3.11")
@pytest.mark.parametrize("kind", [ValueError, TypeError, AssertionError])
def test_an_error_that_may_be_about_the_inputs_gets_a_note_in_the_first_run_alone(
    model: Watched, kind: type[Exception]
) -> None:
    image = torch.rand(2, 3)
    with opened(model, "last") as activations:
        model.error = kind("mine")
        with pytest.raises(kind) as caught:
            activations.run(image)
        (note,) = caught.value.__notes__
        assert note.startswith("the model failed on inputs of shape (2, 3). Does it take")
        model.error = None
        activations.run(image)
        model.error = kind("mine")
        with pytest.raises(kind) as caught:
            activations.run(image)
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("kind", [NotImplementedError, RecursionError, KeyError, LayerError])
def test_other_errors_get_no_note(model: Watched, kind: type[Exception]) -> None:
    model.error = kind("mine")
    with opened(model, "last") as activations, pytest.raises(kind) as caught:
        activations.run(torch.rand(2, 3))
    assert caught.value is model.error
    assert not hasattr(caught.value, "__notes__")


# --- runs inside runs --------------------------------------------------------------------------


def test_a_hook_that_runs_the_same_activations_is_refused_at_once(model: Watched) -> None:
    image = torch.rand(2, 3)
    with opened(model, "last") as activations:
        handle = model.second.register_forward_hook(lambda *_: activations.run(image))
        with pytest.raises(LayerError, match="again and again"):
            activations.run(image)
        assert len(model.given) == 1
        handle.remove()
        activations.run(image)
        assert_close(activations("last"), image.tanh().sigmoid())


def test_activations_inside_one_another_are_refused_at_the_sixth(model: Watched) -> None:
    image = torch.rand(2, 3)

    def ask(*_: Any) -> None:
        with opened(model, "last") as inner:
            inner.run(image)

    handle = model.second.register_forward_hook(ask)
    with pytest.raises(LayerError, match="again and again"):
        ask()
    assert len(model.given) == 5
    handle.remove()
    ask()
    assert len(model.given) == 6


def test_a_replica_that_runs_between_runs_is_not_kept() -> None:
    layer, image = nn.ReLU(), torch.rand(2, 3)

    def replica(shown: Tensor) -> None:
        copy = layer._replicate_for_data_parallel()
        thread = Thread(target=lambda: copy(shown))
        thread.start()
        thread.join()

    with Activations(replica, {"relu": layer}) as activations:
        replica(image + 2)
        with pytest.raises(LayerError, match="no output yet"):
            activations("relu")
        activations.run(image)
        replica(image + 1)
        assert torch.equal(activations("relu"), image)


def test_replicas_are_seen_in_every_run_and_their_clones_are_made_each_time() -> None:
    """A replica's way is never taken for known: what each is shown may be different."""
    layer, given = nn.ReLU(), []

    def model(image: Tensor) -> None:
        given.append(image)
        copy = layer._replicate_for_data_parallel()
        thread = Thread(target=lambda: suppressed(copy, image))
        thread.start()
        thread.join()

    def suppressed(copy: nn.Module, image: Tensor) -> None:
        try:
            copy(image)
        except Exception:
            stopped.append(1)

    stopped: list[int] = []
    with Activations(model, {"relu": layer}) as activations:
        for _ in range(5):
            image = torch.rand(2, 3)
            activations.run(image, own=1)
            assert torch.equal(activations("relu"), image)
            assert given[-1] is not image
    assert len(stopped) == 1  # it was swallowed there, so every run after it is complete


@pytest.mark.parametrize(
    ("device_ids", "halves"), [(None, (0, 1)), ([0, 1], (0, 1)), ([1, 0], (1, 0))]
)
def test_replicas_outputs_are_joined_in_the_models_order_or_the_one_named(
    device_ids: list[int] | None, halves: tuple[int, int]
) -> None:
    model = Replicas(nn.ReLU())
    layers = {"relu": model.module}
    with Activations(model, layers, device_ids) as activations:
        for _ in range(4):
            image = torch.rand(4, 3)
            activations.run(image)
            parts = image.chunk(2)
            assert torch.equal(activations("relu"), torch.cat([parts[half] for half in halves]))
