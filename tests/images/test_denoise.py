import pytest
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor
from torch.testing import assert_close

from captum_featinv.images.denoise import total_variation_denoise


def scikit_image(image: Tensor, weight: float) -> Tensor:
    rows = image.movedim(1, -1).numpy()
    denoised = [denoise_tv_chambolle(row, weight=weight, channel_axis=-1) for row in rows]
    return torch.stack([torch.from_numpy(row) for row in denoised]).movedim(-1, 1)


@pytest.fixture
def noisy() -> Tensor:
    """Planes of unlike contrast, so that they need unlike numbers of iterations."""
    contrast = torch.tensor([1, 0.02, 0.3, 5, 0.1, 0.5], dtype=torch.float64).reshape(2, 3, 1, 1)
    return contrast * torch.rand(2, 3, 17, 24, dtype=torch.float64)


@pytest.mark.parametrize("weight", [1e-6, 0.01, 0.2, 3.0])
def test_denoises_as_scikit_image_does(noisy: Tensor, weight: float) -> None:
    assert_close(total_variation_denoise(noisy, weight), scikit_image(noisy, weight))


@pytest.mark.parametrize("shape", [(3, 1, 5, 2), (1, 3, 2, 9), (2, 2, 1, 6)], ids=str)
def test_denoises_small_and_grey_images_as_scikit_image_does(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, dtype=torch.float64)
    assert_close(total_variation_denoise(image, 0.1), scikit_image(image, 0.1))


def test_gives_up_when_scikit_image_does() -> None:
    ramp = torch.linspace(0, 1, 80, dtype=torch.float64).expand(1, 1, 9, 80)
    assert_close(total_variation_denoise(ramp, 3.0), scikit_image(ramp, 3.0))


def test_half_as_many_digits_suffice(noisy: Tensor) -> None:
    denoised = total_variation_denoise(noisy.float(), 0.2)
    assert denoised.dtype == torch.float32
    assert_close(denoised, scikit_image(noisy, 0.2).float(), rtol=0, atol=1e-3)


def test_rows_and_channels_are_denoised_by_themselves(noisy: Tensor) -> None:
    together = total_variation_denoise(noisy, 0.2)
    for row in range(2):
        assert_close(total_variation_denoise(noisy[[row]], 0.2), together[[row]])
        for channel in range(3):
            plane = noisy[row, channel][None, None]
            assert_close(total_variation_denoise(plane, 0.2)[0, 0], together[row, channel])


def test_keeps_the_mean_and_does_not_touch_its_input(noisy: Tensor) -> None:
    before = noisy.clone()
    assert_close(total_variation_denoise(noisy, 0.5).mean((2, 3)), noisy.mean((2, 3)))
    assert torch.equal(noisy, before)


def test_a_constant_image_stays_as_it_is() -> None:
    image = torch.tensor([0.3, 0.0, 1.0]).reshape(1, 3, 1, 1).expand(2, 3, 4, 5)
    assert_close(total_variation_denoise(image, 0.2), image)
