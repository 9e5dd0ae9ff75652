"""Lucent's front door, and Lucent itself, both ways."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from captum_featinv import FeatureMapInversion, objectives, param, render, transform
from captum_featinv.errors import FeatInvError, FeatInvWarning

StateOf = Callable[[nn.Module], dict[str, object]]
QUIET: dict[str, Any] = {"progress": False, "show_image": False}
SMALL: dict[str, Any] = {
    "param_f": lambda: param.image(40),
    "thresholds": (2,),
    "fixed_image_size": 40,
}
# One layer that Lucent sees as we do (no later operation overwrites it) of each family.
LAYERS = {
    "vgg16": "features_8",
    "resnet18": "layer2_1",
    "squeezenet1_1": "features_7",
    "googlenet": "inception3a",
    "densenet121": "features_transition1_conv",
    "mobilenet_v3_small": "features_2",
    "efficientnet_b0": "features_2",
    "convnext_tiny": "features_1",
}


@pytest.fixture(scope="module")
def lucent() -> SimpleNamespace:
    """The installed Lucent, whose own dependencies warn when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("lucent", reason="Lucent is not installed: nothing to compare with")
        import lucent.optvis.objectives
        import lucent.optvis.param
        import lucent.optvis.render
        import lucent.optvis.transform
    return SimpleNamespace(
        objectives=lucent.optvis.objectives,
        param=lucent.optvis.param,
        render=lucent.optvis.render,
        transform=lucent.optvis.transform,
    )


def network(name: str) -> nn.Module:
    extra = {"init_weights": False} if name in ("googlenet", "vgg16") else {}
    extra |= {"aux_logits": False} if name == "googlenet" else {}
    torch.manual_seed(3)
    model: nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    return model.eval()


def their_picture(lucent: SimpleNamespace, model: nn.Module, objective: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lucent.render.render_vis(model, objective, **QUIET, **options)


PARAMS: dict[str, Callable[[ModuleType], Any]] = {
    "pixel": lambda p: p.image(30, fft=False, decorrelate=False),
    "pixel, decorrelated": lambda p: p.image(30, fft=False),
    "fft, even": lambda p: p.image(32, 26, decorrelate=False),
    "fft, odd": lambda p: p.image(33, 27),
    "batch": lambda p: p.image(32, batch=2),
    "cppn": lambda p: p.cppn(32),
}


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize("size", [None, 48])
def test_the_same_seed_gives_lucents_picture_to_the_bit(
    lucent: SimpleNamespace, name: str, size: int | None
) -> None:
    model, same_model = network("squeezenet1_1"), network("squeezenet1_1")
    options: dict[str, Any] = {"transforms": [], "thresholds": (2, 5), "fixed_image_size": size}
    torch.manual_seed(11)
    theirs = their_picture(
        lucent, model, "features_7:3", param_f=lambda: PARAMS[name](lucent.param), **options
    )
    torch.manual_seed(11)
    ours = render.render_vis(
        same_model, "features_7:3", lambda: PARAMS[name](param), **QUIET, **options
    )
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        assert np.abs(a - b).max() == 0


@pytest.mark.parametrize("name", LAYERS)
def test_every_family_renders_as_in_lucent(lucent: SimpleNamespace, name: str) -> None:
    options: dict[str, Any] = {
        "transforms": [],
        "thresholds": (2,),
        "fixed_image_size": 64,
        "preprocess": True,
    }
    model, same_model = network(name), network(name)
    torch.manual_seed(11)
    theirs = their_picture(
        lucent, model, f"{LAYERS[name]}:1", param_f=lambda: lucent.param.image(64), **options
    )
    torch.manual_seed(11)
    ours = render.render_vis(
        same_model, f"{LAYERS[name]}:1", lambda: param.image(64), **QUIET, **options
    )
    assert np.abs(theirs[0] - ours[0]).max() == 0


@pytest.mark.parametrize("name", LAYERS)
def test_our_feature_map_objective_survives_lucents_default_transforms(
    lucent: SimpleNamespace, name: str
) -> None:
    photo = torch.rand(1, 3, 64, 64)
    objective = objectives.feature_map_ref(LAYERS[name], [1, 2])
    param_f = param.with_reference(lambda: param.image(64, batch=2), photo)
    pictures = their_picture(
        lucent, network(name), objective, param_f=param_f, thresholds=(2,), fixed_image_size=96
    )
    assert pictures[0].shape == (3, 64, 64, 3)
    np.testing.assert_allclose(pictures[0][0], photo[0].permute(1, 2, 0), atol=1e-6)
    assert np.isfinite(pictures[0]).all()


def test_a_captum_object_goes_into_lucent(lucent: SimpleNamespace) -> None:
    model = network("squeezenet1_1")
    photo = torch.rand(1, 3, 64, 64) * 4 - 2
    fmi = FeatureMapInversion(model, "features.7")
    options: dict[str, Any] = {"transforms": [], "thresholds": (1, 30), "fixed_image_size": 64}
    first, last = their_picture(
        lucent, model, fmi.objective(photo, [1, 2]), param_f=fmi.param(photo, [1, 2]), **options
    )
    assert last.shape == (2, 64, 64, 3)
    shares = []
    for picture in (first, last):
        shown = fmi.normalization.to_model(torch.from_numpy(picture).permute(0, 3, 1, 2))
        shares.append([r.share for r in fmi.report(shown[None], photo, [1, 2])])
    assert shares[1][0] > shares[0][0]
    assert shares[1][1] > shares[0][1]


@pytest.mark.parametrize("name", LAYERS)
def test_a_captum_object_of_any_family_goes_into_lucent(lucent: SimpleNamespace, name: str) -> None:
    model, photo = network(name), torch.rand(1, 3, 64, 64) * 4 - 2
    fmi = FeatureMapInversion(model, LAYERS[name])
    losses: list[float] = []

    def watched(features: Callable[[str], Tensor]) -> Tensor:
        loss = objective(features)
        losses.append(loss.item())
        return loss

    objective = fmi.objective(photo, [1, 2])
    their_picture(
        lucent,
        model,
        watched,
        param_f=fmi.param(photo, [1, 2]),
        transforms=[],
        thresholds=(5,),
        fixed_image_size=64,
    )
    assert min(losses[1:]) < losses[0]


OBJECTIVES: dict[str, Callable[[ModuleType], Any]] = {
    "neuron": lambda o: o.neuron("features_7", 3),
    "channel": lambda o: o.channel("features_7", 3, batch=1),
    "neuron_weight": lambda o: o.neuron_weight("features_7", torch.linspace(-1, 1, 256)),
    "channel_weight": lambda o: o.channel_weight("features_7", torch.linspace(-1, 1, 256)),
    "localgroup_weight": lambda o: o.localgroup_weight(
        "features_7", torch.linspace(-1, 1, 256), x=1, y=1, wx=2, wy=2
    ),
    "direction": lambda o: o.direction("features_7", torch.linspace(-1, 1, 256)),
    "direction_neuron": lambda o: o.direction_neuron("features_7", torch.linspace(-1, 1, 256)),
    "blur_input_each_step": lambda o: o.channel("features_7", 3) - o.blur_input_each_step(),
    "channel_interpolate": lambda o: o.channel_interpolate("features_7", 3, "features_4", 2),
    "alignment": lambda o: o.alignment("features_7"),
    "diversity": lambda o: o.channel("features_7", 3) - 1e-2 * o.diversity("features_4"),
    "text": lambda o: "features_7:3",
    "function": lambda o: lambda features: -features("features_7")[:, 3].mean(),
    "sum": lambda o: o.Objective.sum([o.channel("features_7", 3), o.channel("features_4", 2)]),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_of_lucents_renders_in_ours_as_in_theirs(
    lucent: SimpleNamespace, name: str
) -> None:
    options: dict[str, Any] = {"transforms": [], "thresholds": (3,), "fixed_image_size": 48}
    pictures = []
    for objective, call in (
        (OBJECTIVES[name](lucent.objectives), lambda *a, **k: their_picture(lucent, *a, **k)),
        (OBJECTIVES[name](lucent.objectives), lambda *a, **k: render.render_vis(*a, **QUIET, **k)),
        (OBJECTIVES[name](objectives), lambda *a, **k: render.render_vis(*a, **QUIET, **k)),
    ):
        model = network("squeezenet1_1")
        torch.manual_seed(5)
        param_f = lambda: lucent.param.image(48, batch=2)  # noqa: E731
        pictures.append(call(model, objective, param_f=param_f, **options)[0])
    theirs, *ours = pictures
    # Lucent draws the input once more when asked for it: its gradients are added in another order.
    rounding = 1e-6 if "input" in name else 0
    assert all(np.abs(theirs - picture).max() <= rounding for picture in ours)


OTHER_PARAMS: dict[str, Callable[[SimpleNamespace], Any]] = {
    "lowres": lambda lucent: _valid(
        lucent, *lucent.param.lowres_tensor((1, 3, 40, 40), (1, 3, 10, 10))
    ),
    "gan": lambda lucent: _generated(lucent),
}


def _valid(lucent: SimpleNamespace, parameters: Any, draw: Any) -> Any:
    return parameters, lucent.param.to_valid_rgb(draw)


def _generated(lucent: SimpleNamespace) -> Any:
    generator = lucent.param.upconvGAN("fc6", pretrained=False)
    code = torch.randn(1, generator.codelen).requires_grad_()
    return [code], lambda: generator.visualize(code)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OTHER_PARAMS)
def test_other_parameterizations_of_lucents_work_in_ours(
    lucent: SimpleNamespace, name: str
) -> None:
    result = render.render_vis(
        network("squeezenet1_1"),
        "features_7:3",
        lambda: OTHER_PARAMS[name](lucent),
        transforms=[lucent.transform.normalize()],
        preprocess=False,
        thresholds=(3,),
        fixed_image_size=48,
        return_result=True,
        **QUIET,
    )
    assert result.losses[-1] <= result.losses[0]
    assert np.isfinite(result.snapshots[-1]).all()


def test_the_signature_is_lucents(lucent: SimpleNamespace) -> None:
    theirs = signature(lucent.render.render_vis).parameters
    ours = dict(signature(render.render_vis).parameters)
    assert ours.pop("return_result").kind is Parameter.KEYWORD_ONLY
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize(
    "mix",
    [
        lambda ours, theirs: ours + theirs,
        lambda ours, theirs: theirs + ours,
        lambda ours, theirs: theirs - 0.1 * ours,
        lambda ours, theirs: ours - theirs / 3,
        lambda ours, theirs: sum([theirs, ours, theirs]),
        lambda ours, theirs: np.float32(2) * ours + 1 - theirs,
        lambda ours, theirs: -ours + (1 - ours) + theirs,
    ],
)
def test_sums_of_ours_and_theirs_render_alike_on_both_sides(
    lucent: SimpleNamespace, mix: Callable[[Any, Any], Any]
) -> None:
    objective = mix(objectives.channel("features_7", 2), lucent.objectives.channel("features_4", 1))
    options: dict[str, Any] = {"transforms": [], "thresholds": (3,), "fixed_image_size": 40}
    torch.manual_seed(1)
    theirs = their_picture(
        lucent, network("squeezenet1_1"), objective, param_f=lambda: param.image(40), **options
    )
    torch.manual_seed(1)
    ours = render.render_vis(
        network("squeezenet1_1"), objective, lambda: lucent.param.image(40), **QUIET, **options
    )
    assert np.abs(theirs[0] - ours[0]).max() == 0


def test_lucents_transforms_work_in_ours(lucent: SimpleNamespace) -> None:
    def picture(call: Callable[..., Any]) -> Any:
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002 - Lucent's dice
        return call(
            network("squeezenet1_1"),
            "features_7:2",
            param_f=lambda: param.image(40),
            transforms=list(lucent.transform.standard_transforms),
            thresholds=(3,),
            fixed_image_size=48,
        )[0]

    theirs = picture(lambda *a, **k: their_picture(lucent, *a, **k))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = picture(lambda *a, **k: render.render_vis(*a, **QUIET, **k))
    assert np.abs(theirs - ours).max() == 0


class TestOurs:
    """Needs no Lucent."""

    def render(self, model: nn.Module, objective: Any, **options: Any) -> Any:
        return render.render_vis(model, objective, **{**QUIET, **SMALL, **options})

    @pytest.mark.parametrize(
        ("error", "objective"),
        [
            (ValueError, lambda features: int("x")),
            (FeatInvError, "conv9:0"),
            (IndexError, "conv2:99"),
            (
                RuntimeError,
                objectives.Objective(lambda features: features("conv2") @ torch.ones(9)),
            ),
        ],
    )
    def test_leaves_nothing_behind_after_an_error(
        self, model: nn.Module, state_of: StateOf, error: type[Exception], objective: Any
    ) -> None:
        before = state_of(model)
        with pytest.raises(error):
            self.render(model, objective)
        after = state_of(model)
        assert {**after, "random": None} == {**before, "random": None}

    def test_leaves_nothing_behind_after_success(self, model: nn.Module, state_of: StateOf) -> None:
        before = state_of(model)
        self.render(model, objectives.channel("conv2", 1) + objectives.diversity("relu"))
        deepcopy(model)
        assert {**state_of(model), "random": None} == {**before, "random": None}

    def test_the_forward_stops_at_the_layer(self, model: nn.Module) -> None:
        self.render(model, "conv1:0", thresholds=(5,))
        assert model.calls == 2  # two complete runs agree, and then it is stopped

    def test_labels_are_what_the_model_returns(self, model: nn.Module) -> None:
        seen: list[Tensor] = []

        def objective(features: Callable[[str], Tensor]) -> Tensor:
            seen.append(features("labels"))
            return -features("labels")[:, 2].mean()

        result = self.render(model, objective, return_result=True, thresholds=(20,), transforms=())
        assert seen[0].shape == (1, 4)
        assert result.losses[-1] < result.losses[0]

    def test_dotted_and_underscored_names_are_alike(self) -> None:
        pictures = []
        for name in ("layer1.0.conv1:3", "layer1_0_conv1:3"):
            torch.manual_seed(0)
            pictures.append(self.render(network("resnet18"), name))
        assert np.array_equal(*pictures)

    def test_the_input_is_drawn_once_a_step(self, model: nn.Module) -> None:
        drawn: list[int] = []

        def param_f() -> Any:
            parameters, draw = param.image(40)
            return parameters, lambda: (drawn.append(1), draw())[1]

        def objective(features: Callable[[str], Tensor]) -> Tensor:
            return (features("input") * features("input")).sum() + features("conv1").mean()

        self.render(model, objective, param_f=param_f, thresholds=(5,))
        assert len(drawn) == 5 + 3  # the shape, the snapshot and the final image

    @pytest.mark.parametrize("transforms", [None, transform.standard_transforms, [], ()])
    def test_snapshots_losses_and_the_final_image(self, model: nn.Module, transforms: Any) -> None:
        result = self.render(
            model, "conv2:1", thresholds=(2, 6), transforms=transforms, return_result=True
        )
        assert len(result.losses) == result.step == 6
        assert [s.shape for s in result.snapshots] == [(1, 40, 40, 3)] * 2
        np.testing.assert_array_equal(result.snapshots[1], result.image.permute(0, 2, 3, 1).numpy())
        assert not np.array_equal(*result.snapshots)

    def test_the_seed_settles_the_transforms_too(self, model: nn.Module) -> None:
        pictures = []
        for _ in range(2):
            torch.manual_seed(4)
            pictures.append(self.render(model, "conv2:1", thresholds=(4,)))
        assert np.array_equal(*pictures)

    def test_l_bfgs_sees_one_distortion_a_step(self, model: nn.Module) -> None:
        result = self.render(
            model,
            "conv2:1",
            optimizer=lambda p: torch.optim.LBFGS(p, max_iter=4),
            return_result=True,
        )
        assert result.step == 2

    def test_ctrl_c_returns_what_there_is(self, model: nn.Module) -> None:
        calls: list[int] = []

        def objective(features: Callable[[str], Tensor]) -> Tensor:
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return features("conv1").mean()

        with pytest.warns(FeatInvWarning, match="interrupted after 3 of 50 steps"):
            pictures = self.render(model, objective, thresholds=(2, 50))
        assert len(pictures) == 2

    def test_saves_what_it_shows(self, model: nn.Module, tmp_path: Path) -> None:
        path = tmp_path / "picture.png"
        pictures = self.render(
            model,
            "conv2:1",
            param_f=lambda: param.image(40, batch=2),
            save_image=True,
            image_name=str(path),
        )
        saved = np.asarray(Image.open(path))
        assert saved.shape == (40, 80, 3)
        np.testing.assert_array_equal(saved[:, 40:], (pictures[0][1] * 255).astype(np.uint8))

    def test_verbose_prints_losses(
        self, model: nn.Module, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.render(model, "conv2:1", verbose=True)
        out = capsys.readouterr().out
        assert "Initial loss: " in out
        assert "Loss at step 2: " in out

    @pytest.mark.parametrize(
        ("options", "error", "text"),
        [
            ({"thresholds": 5}, TypeError, "thresholds must be steps"),
            ({"thresholds": ()}, ValueError, "at least one step"),
            ({"thresholds": (0,)}, ValueError, "from 1 on"),
            ({"optimizer": lambda p: None}, TypeError, "from parameters to an optimizer"),
            ({"param_f": 3}, TypeError, "int"),
        ],
    )
    def test_bad_options(
        self, model: nn.Module, options: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            self.render(model, "conv2:1", **options)

    def test_a_bad_objective_is_a_type_error(self, model: nn.Module) -> None:
        with pytest.raises(TypeError, match="int"):
            self.render(model, 3)


@pytest.mark.slow
def test_our_objective_in_lucents_renderer_lifts_the_filter(lucent: SimpleNamespace) -> None:
    import skimage.data

    from captum_featinv.codes import live_filters
    from captum_featinv.images.files import from_picture
    from captum_featinv.models import load_model

    model = load_model("vgg16", "hed", "average").model
    # Lucent runs the whole model in every step; what is behind the layer is left out here.
    model.features, model.classifier = model.features[:14], nn.Identity().eval()
    # The size to which Lucent enlarges what is smaller: at 128 px the network would see a blur.
    photo = from_picture(Image.fromarray(skimage.data.astronaut()), 224)
    fmi = FeatureMapInversion(model, "features.13")
    inputs = fmi.normalization.to_model(photo)
    with torch.no_grad():
        filters = live_filters(model.features(inputs), 2)
    pictures = their_picture(
        lucent,
        model,
        objectives.feature_map_ref("features_13", filters),
        param_f=param.with_reference(lambda: param.image(224, batch=2), photo),
        thresholds=(64,),
    )
    shown = fmi.normalization.to_model(torch.from_numpy(pictures[0][1:]).permute(0, 3, 1, 2))
    report = fmi.report(shown[None], inputs, filters)
    print(f"\n{report}")
    assert all(record.lift > 5 for record in report)


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (5, {"show_image": True}, "images of 5 channels cannot be shown.*show_image=False"),
        (2, {"save_image": True, "show_image": False}, "images of 2 channels cannot be .*saved"),
        (3, {"save_image": True, "image_name": "nowhere/a.png"}, "no folder 'nowhere'"),
        (3, {"save_image": True, "image_name": "picture"}, "'picture' must end as a picture does"),
    ],
)
def test_what_cannot_be_shown_is_said_before_the_first_step(
    channels: int, options: dict[str, Any], text: str
) -> None:
    model = nn.Sequential(nn.Conv2d(channels, 2, 3)).eval()
    ran: list[nn.Module] = []
    model[0].register_forward_hook(lambda module, *_: ran.append(module))
    asked: dict[str, Any] = {**SMALL, **QUIET, **options, "preprocess": False, "transforms": ()}
    asked["param_f"] = lambda: param.image(8, channels=channels)
    with pytest.raises(FeatInvError, match=text):
        render.render_vis(model, objectives.channel("0", 0), **asked)
    assert not ran


def test_images_of_any_number_of_channels_are_returned() -> None:
    model = nn.Sequential(nn.Conv2d(5, 2, 3)).eval()
    options: dict[str, Any] = {**SMALL, "preprocess": False, "transforms": ()}
    options["param_f"] = lambda: param.image(8, channels=5)
    (image,) = render.render_vis(model, objectives.channel("0", 0), **options, **QUIET)
    assert image.shape == (1, 8, 8, 5)


def test_what_is_shown_is_the_picture_that_is_returned(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a notebook each that is told of as well; all images of a batch beside one another."""
    inline: list[Image.Image] = []
    window: list[Image.Image] = []
    monkeypatch.setattr("IPython.display.display", inline.append)
    monkeypatch.setattr(Image.Image, "show", lambda picture: window.append(picture))
    options: dict[str, Any] = {**SMALL, "progress": False, "thresholds": (1, 3), "verbose": True}
    options["param_f"] = lambda: param.image(40, batch=2)
    snapshots = render.render_vis(model, "conv2:1", **options, show_image=False, show_inline=True)
    assert [picture.size for picture in inline] == [(80, 40)] * 3
    for picture, snapshot in zip(inline, [*snapshots, snapshots[-1]], strict=True):
        beside = np.concatenate(list(snapshot), axis=1)
        assert np.array_equal(np.asarray(picture), (255 * beside).astype(np.uint8))
    assert not window
    last = render.render_vis(model, "conv2:1", **options, show_image=True)[-1]
    (picture,) = window
    beside = np.concatenate(list(last), axis=1)
    assert np.array_equal(np.asarray(picture), (255 * beside).astype(np.uint8))
    assert len(inline) == 3
    assert capsys.readouterr().out.count("Loss at step") == 2 * 2


@pytest.mark.parametrize(("edge", "seen"), [(223, 224), (224, 224), (225, 225)])
def test_small_images_alone_are_enlarged_where_no_size_is_asked_for(edge: int, seen: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3)).eval()
    sizes: list[tuple[int, ...]] = []
    model[0].register_forward_hook(lambda _, inputs, __: sizes.append(tuple(inputs[0].shape[2:])))
    options: dict[str, Any] = {**QUIET, "thresholds": (1,), "transforms": ()}
    render.render_vis(model, "0:1", param_f=lambda: param.pixel_image((1, 3, edge, 230)), **options)
    assert set(sizes) == {(seen, 230 if edge > 223 else 224)}
