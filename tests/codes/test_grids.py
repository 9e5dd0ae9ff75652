"""How many tokens there are on an image of some size tells where they lie."""

from itertools import product

import pytest

from captum_featinv.codes.grids import Grid, grids_of


@pytest.mark.parametrize("patch", [(4, 4), (7, 5), (16, 16)], ids=str)
@pytest.mark.parametrize("size", [(224, 224), (96, 160), (35, 50), (65, 81)], ids=str)
def test_a_models_own_patches_tell_any_prefix_on_any_size(
    size: tuple[int, int], patch: tuple[int, int]
) -> None:
    high, wide = size[0] // patch[0], size[1] // patch[1]
    for prefix in range(10):
        assert grids_of(prefix + high * wide, size, [patch]) == [Grid(prefix, high, wide)]


def test_later_stages_have_multiples_of_the_patches() -> None:
    for step in (1, 2, 4, 8):
        edge = 56 // step
        assert grids_of(edge * edge, (224, 224), [(4, 4)]) == [Grid(0, edge, edge)]


def test_of_several_patches_the_one_that_fits_is_taken() -> None:
    both = [(12, 12), (16, 16)]
    assert grids_of(401, (240, 240), both) == [Grid(1, 20, 20)]
    assert grids_of(226, (240, 240), both) == [Grid(1, 15, 15)]
    assert grids_of(17, (48, 48), both) == [Grid(8, 3, 3), Grid(1, 4, 4)]


@pytest.mark.parametrize(
    ("length", "size", "expected"),
    [
        (197, (224, 224), (1, 14, 14)),  # ViT
        (198, (224, 224), (2, 14, 14)),  # a token for distillation
        (261, (224, 224), (5, 16, 16)),  # DINOv2 with four registers
        (1374, (518, 518), (5, 37, 37)),
        (730, (224, 224), (1, 27, 27)),  # PiT: patches of 16 pixels that overlap by 8
        (3136, (224, 224), (0, 56, 56)),
        (49, (224, 224), (0, 7, 7)),
        (16, (224, 224), (0, 4, 4)),
        (5, (32, 32), (1, 2, 2)),
        (1, (32, 48), (0, 1, 1)),  # a class token by itself
        (1 + 14 * 20, (224, 320), (1, 14, 20)),
        (2 * 6, (16, 48), (0, 2, 6)),
    ],
)
def test_the_lengths_of_known_transformers_on_images_alone(
    length: int, size: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    assert grids_of(length, size) == [expected]


@pytest.mark.parametrize(
    ("length", "size"),
    [(100, (224, 320)), (512, (224, 224)), (3, (32, 32)), (7, (32, 32)), (0, (32, 32))],
)
def test_other_lengths_are_no_grid(length: int, size: tuple[int, int]) -> None:
    assert grids_of(length, size) == []


def test_without_a_models_word_the_grid_tiles_the_image_or_has_two_tokens_before_it() -> None:
    """Every grid, written out; it is never more than one."""
    for length in range(2, 300):
        every = [(length - n * n, n, n) for n in range(2, 49)]
        few = [grid for grid in every if 0 <= grid[0] <= 2]
        tiling = [(p, n, n) for p, n, _ in every if 0 <= p <= min(9, n * n / 3) and 48 % n == 0]
        assert grids_of(length, (48, 48)) == (few or tiling)
        assert len(few or tiling) <= 1


@pytest.mark.parametrize(("high", "wide"), list(product((2, 3, 7), (2, 5, 9))))
def test_a_grid_has_one_stride_both_ways(high: int, wide: int) -> None:
    assert grids_of(high * wide + 1, (high * 10, wide * 10)) == [Grid(1, high, wide)]
