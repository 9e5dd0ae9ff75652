"""A layer is seen as maps, and these in the terms of a dictionary; who watches is told of both."""

import torch
from torch import Tensor

from captum_featinv import views
from captum_featinv.network.seeing import Seeing


def test_who_watches_is_told_what_the_layer_says_and_what_a_dictionary_makes_of_it() -> None:
    """So that a search can wake what is silent in either."""
    output, image, matrix = torch.rand(2, 10, 8, 3), torch.rand(2, 3, 20, 16), torch.rand(4, 3)
    told: list[Tensor] = []
    seeing = Seeing("a layer", views.directions(matrix))
    code = seeing.code(output, image, told.append)
    below, above = told
    assert torch.equal(below, output.movedim(-1, 1))
    assert above is code
    told.clear()
    plain = Seeing("a layer").code(output, image, told.append)
    assert len(told) == 1
    assert told[0] is plain


def test_a_code_is_changed_below_its_dictionary_and_its_layout() -> None:
    output, image, matrix = torch.rand(2, 10, 8, 3), torch.rand(2, 3, 20, 16), torch.rand(2, 3)
    seeing = Seeing("a layer", views.directions(matrix))
    silenced = seeing.changed(output, image, torch.zeros_like)
    assert silenced.shape == output.shape
    assert float((silenced @ matrix.T).abs().max()) < 1e-5
    assert not torch.equal(silenced, torch.zeros_like(output))
    (wrapped,) = Seeing("a layer").changed((output,), image, lambda code: code + 1)
    torch.testing.assert_close(wrapped, output + 1)
