from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerActivation, NoiseTunnel, visualization
from captum.attr._utils.stat import CommonStats
from captum.attr._utils.summarizer import Summarizer
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor, distributed, nn
from torch.optim import LBFGS, Adam

from captum_featinv import CodeInversion, FeatureMapInversion, Recipe
from captum_featinv.codes import single_filter
from captum_featinv.errors import FeatInvWarning, FilterError, ForwardError
from tests.conftest import SmallNet
from tests.inversion.replicas import Replicas

STEPS = 10
SELECTORS = {"int": 2, "negative": -1, "index": (2, 1, slice(0, 3)), "list": [0, 5, 2], "all": None}
COUNTS = {"list": 3, "all": 8}


def exact_recipe() -> Recipe:
    return Recipe.default(
        optimizer=lambda p: LBFGS(
            p, max_iter=40, tolerance_change=1e-12, line_search_fn="strong_wolfe"
        ),
        schedule=None,
        transforms=(),
        n_steps=10,
    )


@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 5, 4)])
def test_a_linear_injective_layer_is_inverted_exactly(shape: tuple[int, ...]) -> None:
    layer = nn.Linear(shape[-1], 11)
    model = nn.Sequential(layer, nn.ReLU())
    photos = 5 * torch.randn(shape) + 3
    found, error = CodeInversion(
        model.eval(), layer, mean=None, recipe=exact_recipe(), channel_dim=-1
    ).attribute(photos, return_convergence_delta=True)
    torch.testing.assert_close(found, photos, atol=1e-3, rtol=0)
    assert error.max() < 1e-8


def test_a_displayable_photo_is_found_from_the_code_of_an_injective_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(3, 30, 3, padding=1)).eval()
    photo = torch.rand(1, 3, 6, 5) * 2 - 1
    found = CodeInversion(model, "0", recipe=exact_recipe()).attribute(photo, n_steps=40)
    torch.testing.assert_close(found, photo, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", SELECTORS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["tensor", "tuple"])
def test_shapes_follow_the_selector(
    model: nn.Module, photos: Tensor, name: str, wrapped: bool
) -> None:
    fmi = FeatureMapInversion(model, "conv2")
    inputs = (photos,) if wrapped else photos
    result, error = fmi.attribute(
        inputs, SELECTORS[name], n_steps=STEPS, return_convergence_delta=True
    )
    assert isinstance(result, tuple) == wrapped
    textures = result[0] if wrapped else result
    filters = (COUNTS[name],) if name in COUNTS else ()
    assert textures.shape == (2, *filters, 3, 13, 18)
    assert error.shape == (2, *filters)
    assert textures.dtype == photos.dtype
    assert not textures.requires_grad


def test_the_filter_takes_over_its_layer(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "conv2")
    textures = fmi.attribute(photos, [1, 6])
    before = fmi.report(photos[:, None].expand(-1, 2, -1, -1, -1), photos, [1, 6])
    after = fmi.report(textures, photos, [1, 6])
    for old, new in zip(before, after, strict=True):
        assert new.share > 2 * old.share


def test_an_index_keeps_the_filter_to_its_places(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "conv2")
    corner = (1, slice(0, 3), slice(0, 4))
    texture = fmi.attribute(photos, corner)
    code = LayerActivation(model, model.conv2).attribute(texture).clamp(min=0)[:, 1]
    assert code[:, :3, :4].mean() > 3 * code[:, 4:, 5:].mean()


def test_a_filter_is_the_rewrite_of_a_code(model: nn.Module, photos: Tensor, fixed: Recipe) -> None:
    fixed = Recipe.default(tolerance=None, warmup=0.0, outweigh=None)
    by_filter = FeatureMapInversion(model, "relu", recipe=fixed).attribute(photos, 3, n_steps=STEPS)
    by_rewrite = CodeInversion(model, "relu", recipe=fixed).attribute(
        photos, single_filter(3), n_steps=STEPS
    )
    torch.testing.assert_close(by_filter, by_rewrite, atol=1e-4, rtol=1e-4)


def test_the_delta_is_the_normalised_error_of_the_picture(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "relu")
    texture, delta = fmi.attribute(photos, 3, n_steps=STEPS, return_convergence_delta=True)
    layer = LayerActivation(model, model.relu)
    code, target = layer.attribute(texture), single_filter(3)(layer.attribute(photos))
    expected = (code - target).square().sum((1, 2, 3)) / target.square().sum((1, 2, 3))
    torch.testing.assert_close(delta, expected)


def test_several_layers_are_matched_together(model: nn.Module, photos: Tensor) -> None:
    both = CodeInversion(model, ["conv1", model.conv2])
    found, delta = both.attribute(photos, n_steps=60, return_convergence_delta=True)
    expected = torch.zeros(2)
    for layer in (model.conv1, model.conv2):
        code = LayerActivation(model, layer)
        difference = code.attribute(found) - code.attribute(photos)
        size = code.attribute(photos).square().sum((1, 2, 3))
        expected += difference.square().sum((1, 2, 3)) / size / 2
    torch.testing.assert_close(delta, expected)
    assert delta.max() < 0.2


class TestIndependence:
    def test_a_batch_of_two_equals_two_batches_of_one(
        self, model: nn.Module, photos: Tensor, fixed: Recipe
    ) -> None:
        fmi = FeatureMapInversion(model, "relu", recipe=fixed)
        together = fmi.attribute(photos, [1, 4], n_steps=20)
        alone = [fmi.attribute(photo[None], [1, 4], n_steps=20) for photo in photos]
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-3)

    def test_the_internal_batch_size_changes_nothing(
        self, model: nn.Module, photos: Tensor, fixed: Recipe
    ) -> None:
        fmi = FeatureMapInversion(model, "relu", recipe=fixed)
        whole = fmi.attribute(photos, [1, 4, 0], n_steps=20)
        for size in (1, 4):
            parts = fmi.attribute(photos, [1, 4, 0], n_steps=20, internal_batch_size=size)
            torch.testing.assert_close(whole, parts, atol=1e-4, rtol=1e-3)

    def test_k_filters_equal_k_single_runs(
        self, model: nn.Module, photos: Tensor, fixed: Recipe
    ) -> None:
        fmi = FeatureMapInversion(model, "relu", recipe=fixed)
        many = fmi.attribute(photos, [1, 4], n_steps=20)
        single = [fmi.attribute(photos, k, n_steps=20) for k in (1, 4)]
        torch.testing.assert_close(many, torch.stack(single, 1), atol=1e-4, rtol=1e-3)

    def test_l_bfgs_does_not_mix_the_images_of_a_batch(
        self, model: nn.Module, photos: Tensor
    ) -> None:
        """In float64, for line searches magnify rounding."""
        inversion = CodeInversion(deepcopy(model).double(), "conv2", recipe=exact_recipe())
        together = inversion.attribute(photos.double(), n_steps=2)
        alone = [inversion.attribute(photo[None].double(), n_steps=2) for photo in photos]
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)

    def test_rows_settle_by_themselves(self, model: nn.Module, photos: Tensor) -> None:
        recipe = Recipe.default(
            tolerance=0.1, schedule=None, n_steps=80, optimizer=partial(Adam, lr=0.05)
        )
        fmi = FeatureMapInversion(model, "relu", recipe=recipe)
        together = fmi.attribute(photos, [1, 4, 5])
        alone = fmi.attribute(photos, [1, 4, 5], internal_batch_size=1)
        torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-2)

    def test_the_seed_settles_everything(self, model: nn.Module, photos: Tensor) -> None:
        fmi = FeatureMapInversion(model, "relu")
        first = fmi.attribute(photos, 1, n_steps=STEPS, seed=5)
        torch.rand(3)
        assert torch.equal(first, fmi.attribute(photos, 1, n_steps=STEPS, seed=5))
        assert not torch.equal(first, fmi.attribute(photos, 1, n_steps=STEPS, seed=6))


class TestCaptum:
    @pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
    @pytest.mark.parametrize("size", [None, 1])
    def test_noise_tunnel_runs_it(
        self, model: nn.Module, photos: Tensor, kind: str, size: int | None
    ) -> None:
        tunnel = NoiseTunnel(FeatureMapInversion(model, "relu"))
        textures, delta = tunnel.attribute(
            photos * 0.5,
            nt_type=kind,
            nt_samples=3,
            nt_samples_batch_size=size,
            stdevs=0.01,
            neuron_selector=[0, 3],
            n_steps=STEPS,
            return_convergence_delta=True,
        )
        assert textures.shape == (2, 2, 3, 13, 18)
        assert delta.shape == (6, 2)

    def test_noise_tunnel_without_noise_changes_nothing(
        self, model: nn.Module, photos: Tensor, fixed: Recipe
    ) -> None:
        fmi = FeatureMapInversion(model, "relu", recipe=fixed)
        plain = fmi.attribute(photos, [0, 3], n_steps=STEPS)
        noisy = NoiseTunnel(fmi).attribute(
            photos, stdevs=1e-12, nt_samples=2, neuron_selector=[0, 3], n_steps=STEPS
        )
        torch.testing.assert_close(noisy, plain, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("selector", [3, [0, 3]])
    def test_sensitivity_is_zero_at_radius_zero(
        self, model: nn.Module, photos: Tensor, selector: int | list[int]
    ) -> None:
        fmi = FeatureMapInversion(model, "relu")
        value = sensitivity_max(
            fmi.attribute,
            photos,
            perturb_radius=0.0,
            n_perturb_samples=2,
            neuron_selector=selector,
            n_steps=STEPS,
            baselines=photos * 0,
        )
        assert value.tolist() == pytest.approx([0, 0], abs=1e-5)

    def test_infidelity_takes_one_filter(self, model: nn.Module, photos: Tensor) -> None:
        """Of a linear function and one perturbation its formula has one term (Yeh et al. 2019)."""
        textures = FeatureMapInversion(model, "relu").attribute(photos, [0, 3], n_steps=STEPS)
        slope, noise = torch.randn(photos.shape[1:]), torch.randn(photos.shape[1:]) * 0.1

        def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
            moved = noise.expand_as(inputs)
            return moved, inputs - moved

        value = infidelity(
            lambda inputs: (inputs * slope).flatten(1).sum(1), perturb, photos, textures[:, 1]
        )
        expected = ((textures[:, 1] - slope) * noise).flatten(1).sum(1).square()
        torch.testing.assert_close(value, expected, atol=1e-4, rtol=1e-3)

    def test_its_visualiser_shows_to_image(self, model: nn.Module, photos: Tensor) -> None:
        fmi = FeatureMapInversion(model, "relu")
        texture = fmi.to_image(fmi.attribute(photos, [0, 3], n_steps=STEPS)[0, 1])
        _, axes = visualization.visualize_image_attr_multiple(
            texture - fmi.to_image(photos[0]),
            texture,
            ["original_image", "heat_map"],
            ["all", "absolute_value"],
            use_pyplot=False,
        )
        shown = axes[0].get_images()[0].get_array()
        np.testing.assert_array_equal(shown, (texture * 255).astype(int))

    def test_summarizer_takes_many_filters(self, model: nn.Module, photos: Tensor) -> None:
        textures = FeatureMapInversion(model, "relu").attribute(photos, [0, 3], n_steps=STEPS)
        summary = Summarizer(stats=CommonStats())
        summary.update(textures)
        torch.testing.assert_close(summary.summary["mean"], textures)

    @pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
    def test_callers_without_gradients(
        self, model: nn.Module, photos: Tensor, context: type[torch.no_grad]
    ) -> None:
        fmi = FeatureMapInversion(model, "relu")
        plain = fmi.attribute(photos, 1, n_steps=STEPS)
        with context():
            inside = fmi.attribute(photos * 1.0, 1, n_steps=STEPS)
        assert torch.equal(plain, inside.clone())

    def test_the_last_call_of_a_reused_module_counts(
        self, model: nn.Module, photos: Tensor
    ) -> None:
        """`relu` has 6 channels in its first call and 8 in its last: those of a ReLU of its own."""

        class Apart(SmallNet):
            def __init__(self) -> None:
                super().__init__()
                self.second = nn.ReLU(inplace=True)

            def forward(self, image: Tensor, gain: Tensor | float = 1.0) -> Tensor:
                code = self.pool(self.relu(self.norm(self.conv1(image * gain))))
                return self.head(self.second(self.conv2(code)).mean((2, 3)))

        apart = Apart().eval()
        apart.load_state_dict(model.state_dict())
        reused = FeatureMapInversion(model, model.relu).attribute(photos, [1, 7], n_steps=STEPS)
        alone = FeatureMapInversion(apart, apart.second).attribute(photos, [1, 7], n_steps=STEPS)
        assert torch.equal(reused, alone)
        with pytest.raises(FilterError, match="0 to 7"):
            FeatureMapInversion(model, model.relu).attribute(photos, 8, n_steps=1)

    def test_an_in_place_relu_does_not_hide_the_convolution(
        self, model: nn.Module, photos: Tensor
    ) -> None:
        found = CodeInversion(model, "norm", recipe=exact_recipe()).attribute(photos, n_steps=5)
        with torch.no_grad():
            code, target = model.norm(model.conv1(found)), model.norm(model.conv1(photos))
        below = target < -0.1
        torch.testing.assert_close(code[below], target[below], atol=0.1, rtol=0.1)

    def test_data_parallel_equals_plain(self, model: nn.Module, photos: Tensor) -> None:
        """Without a GPU the first only passes on what it is given; the second has two replicas."""
        asked = {"recipe": Recipe.default(precision="float32", n_steps=STEPS)}
        plain = FeatureMapInversion(model, model.relu, **asked).attribute(photos, 1)
        alone = FeatureMapInversion(nn.DataParallel(model), "module.relu", **asked)
        assert torch.equal(plain, alone.attribute(photos, 1))
        wrapped = Replicas(model)
        parallel = FeatureMapInversion(wrapped, "module.relu", **asked).attribute(photos, 1)
        torch.testing.assert_close(parallel, plain, atol=3e-3, rtol=1e-3)
        assert min(wrapped.seen.count((0, 1)), wrapped.seen.count((1, 1))) >= STEPS

    def test_replicas_may_be_given_different_numbers_of_rows(self, model: nn.Module) -> None:
        photos = 4 * torch.rand(3, 3, 13, 18) - 2
        wrapped = Replicas(model)
        recipe = Recipe.default(precision="float32", n_steps=STEPS)
        fmi = FeatureMapInversion(wrapped, "module.relu", recipe=recipe)
        plain = FeatureMapInversion(model, model.relu, recipe=recipe)
        parallel, expected = fmi.attribute(photos, [0, 5]), plain.attribute(photos, [0, 5])
        torch.testing.assert_close(parallel, expected, atol=3e-3, rtol=1e-3)
        shares = [r.share for r in fmi.report(parallel, photos, [0, 5])]
        known = [r.share for r in plain.report(expected, photos, [0, 5])]
        assert shares == pytest.approx(known, abs=1e-3)

    def test_what_a_replica_raises_is_an_error_of_the_models(self, photos: Tensor) -> None:
        class Failing(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.relu = nn.ReLU()

            def forward(self, image: Tensor) -> Tensor:
                raise RuntimeError("no such kernel")

        wrapped = Replicas(Failing().eval())
        with pytest.raises(ForwardError, match="no such kernel"):
            FeatureMapInversion(wrapped, "module.relu").attribute(photos, 0, n_steps=1)

    def test_distributed_data_parallel_equals_plain(
        self, model: nn.Module, photos: Tensor, tmp_path: Path
    ) -> None:
        plain = FeatureMapInversion(model, model.relu).attribute(photos, 1, n_steps=STEPS)
        distributed.init_process_group(
            "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
        )
        try:
            wrapped = nn.parallel.DistributedDataParallel(model)
            fmi = FeatureMapInversion(wrapped, "module.relu")
            assert torch.equal(plain, fmi.attribute(photos, 1, n_steps=STEPS))
            assert wrapped(photos).shape == (2, 4)
        finally:
            distributed.destroy_process_group()

    def test_names_and_copies(self, model: nn.Module, photos: Tensor) -> None:
        fmi = FeatureMapInversion(model, "relu")
        assert fmi.get_name() == "Feature Map Inversion"
        assert fmi.has_convergence_delta()
        assert not fmi.multiplies_by_inputs
        copied = deepcopy(fmi)
        assert copied.forward_func is not model
        again = copied.attribute(photos, 1, n_steps=STEPS)
        assert torch.equal(again, fmi.attribute(photos, 1, n_steps=STEPS))

    def test_the_layer_can_be_exchanged(self, model: nn.Module, photos: Tensor) -> None:
        fmi = FeatureMapInversion(model, "conv1")
        fmi.layer = model.conv2
        fresh = FeatureMapInversion(model, "conv2").attribute(photos, 7, n_steps=STEPS)
        assert torch.equal(fmi.attribute(photos, 7, n_steps=STEPS), fresh)

    def test_a_plain_function_around_a_model(self, model: nn.Module, photos: Tensor) -> None:
        fmi = FeatureMapInversion(lambda image: model(image).softmax(1), model.relu)
        expected = FeatureMapInversion(model, "relu").attribute(photos, 1, n_steps=STEPS)
        assert torch.equal(fmi.attribute(photos, 1, n_steps=STEPS), expected)


def test_extra_forward_arguments_are_split_as_the_photos_are(
    model: nn.Module, photos: Tensor, fixed: Recipe
) -> None:
    fmi = FeatureMapInversion(model, "relu", recipe=fixed)
    gains = torch.tensor([1.0, 0.5])
    together = fmi.attribute(photos, [1, 4], additional_forward_args=gains, n_steps=STEPS)
    for photo, gain, textures in zip(photos, gains, together, strict=True):
        alone = fmi.attribute(
            photo[None], [1, 4], additional_forward_args=(gain.item(),), n_steps=STEPS
        )
        torch.testing.assert_close(textures, alone[0], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("shape", [(), (1, 3, 13, 18), (2, 3, 13, 18)])
def test_baselines_are_where_it_starts(
    model: nn.Module, photos: Tensor, shape: tuple[int, ...]
) -> None:
    start = torch.full(shape, 0.3)
    still = Recipe.default(optimizer=lambda p: torch.optim.SGD(p, lr=0.0), schedule=None)
    found = FeatureMapInversion(model, "relu", recipe=still).attribute(
        photos, 1, baselines=start if shape else 0.3, n_steps=1
    )
    torch.testing.assert_close(found, torch.full_like(photos, 0.3))


def test_two_inputs_are_looked_for_together() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
            self.joined = nn.ReLU()

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return self.joined(self.left(left) + self.right(right))

    photos = (torch.rand(2, 3, 7, 9) - 0.5, torch.rand(2, 1, 7, 9) - 0.5)
    fmi = FeatureMapInversion(Pair().eval(), "joined", mean=0.5, std=0.25)
    left, right = fmi.attribute(photos, [0, 1])
    assert left.shape == (2, 2, 3, 7, 9)
    assert right.shape == (2, 2, 1, 7, 9)
    assert len(fmi.report((left, right), photos, [0, 1])) == 4


def test_of_two_inputs_one_need_not_reach_the_layer(fixed: Recipe) -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
            self.relu = nn.ReLU()

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return self.relu(self.left(left)) + self.right(right)

    model, photos = Branches().eval(), (torch.rand(2, 3, 7, 9) - 0.5, torch.rand(2, 1, 7, 9) - 0.5)
    fmi = FeatureMapInversion(model, "relu", mean=0.5, std=1.0, recipe=fixed)
    with pytest.warns(FeatInvWarning, match="input 1 does not reach layer relu: its start image"):
        left, right = fmi.attribute(photos, 0, (0.0, 0.25))
    alone = nn.Sequential(model.left, model.relu)
    plain = FeatureMapInversion(alone, "1", mean=0.5, std=1.0, recipe=fixed)
    torch.testing.assert_close(left, plain.attribute(photos[0], 0, 0.0))
    torch.testing.assert_close(right, torch.full_like(right, 0.25))


@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_other_channel_counts(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU()).eval()
    photos = torch.rand(2, channels, 9, 7) - 0.5
    fmi = FeatureMapInversion(model, "1", mean=0.5, std=1.0)
    textures = fmi.attribute(photos, [0, 1], n_steps=STEPS)
    assert textures.shape == (2, 2, channels, 9, 7)
    assert len(fmi.report(textures, photos, [0, 1])) == 4


def test_pictures_stay_displayable(model: nn.Module, photos: Tensor) -> None:
    fmi = FeatureMapInversion(model, "relu")
    shown = fmi.normalization.to_display(fmi.attribute(photos, [0, 1]).flatten(0, 1))
    assert shown.min() >= -1e-5
    assert shown.max() <= 1 + 1e-5


def test_a_progress_bar_carries_the_methods_name(
    model: nn.Module, photos: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    FeatureMapInversion(model, "relu").attribute(photos, 1, n_steps=STEPS, show_progress=True)
    assert "Feature Map Inversion attribution: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("energy", ["layer", "own", "rescaled"])
def test_each_energy_asks_for_its_own_map(model: nn.Module, photos: Tensor, energy: str) -> None:
    code = LayerActivation(model, model.relu).attribute(photos)
    live = int(code.sum((0, 2, 3)).argmax())
    fmi = FeatureMapInversion(model, "relu")
    texture, delta = fmi.attribute(
        photos, live, energy=energy, n_steps=STEPS, return_convergence_delta=True
    )
    found = LayerActivation(model, model.relu).attribute(texture)
    target = single_filter(live, energy)(code)
    expected = (found - target).square().sum((1, 2, 3)) / target.square().sum((1, 2, 3))
    torch.testing.assert_close(delta, expected)


def test_a_photo_gives_one_picture_however_it_lies_in_memory(
    model: nn.Module, photos: Tensor
) -> None:
    inversion = FeatureMapInversion(model, "relu")
    expected = inversion.attribute(photos, 1, n_steps=STEPS)
    as_arrays_come = photos.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(inversion.attribute(as_arrays_come, 1, n_steps=STEPS), expected)
