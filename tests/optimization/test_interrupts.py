"""Ctrl-C ends a run with what there is, but where half-found pictures would pass for results."""

from contextlib import suppress
from threading import Thread

import pytest
import torch
from torch import Tensor

from captum_featinv import Recipe
from captum_featinv.optimization.interrupts import pass_through, passing_interrupts
from captum_featinv.optimization.loop import Found, Phase, follow


def interrupted(at: int) -> Found:
    """A run in which Ctrl-C comes at a call of its losses."""
    calls = 0

    def losses(images: tuple[Tensor, ...], _: Phase) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return images[0].square().flatten(1).sum(1)

    start = torch.full((1, 3, 4, 4), 0.7)
    return follow(
        Recipe.default(n_steps=6, transforms=()),
        losses,
        (start,),
        (start,),
        bounded=[True],
        seed=0,
        advance=lambda: None,
    )


def test_a_run_ends_with_what_there_is_or_lets_it_through_in_the_block_alone() -> None:
    assert interrupted(4).interrupted
    with passing_interrupts():
        with pytest.raises(KeyboardInterrupt):
            interrupted(4)
        assert not interrupted(7).interrupted
    assert interrupted(4).interrupted


def test_blocks_lie_within_one_another_and_end_with_an_error_too() -> None:
    assert pass_through() is False
    with suppress(KeyError), passing_interrupts():
        with passing_interrupts():
            assert pass_through() is True
        assert pass_through() is True
        raise KeyError("mine")
    assert pass_through() is False


def test_another_threads_runs_are_none_of_the_blocks() -> None:
    said: list[bool] = []
    with passing_interrupts():
        thread = Thread(target=lambda: said.append(pass_through()))
        thread.start()
        thread.join()
    assert said == [False]
