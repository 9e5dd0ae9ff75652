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
# # Your own model and data
#
# Nothing here is made for one network. We train a small one on grey patches of brick, grass and gravel, and look at what its
# filters extract; then a network for video.
#
# **To run it**, in a clone: `pip install -e ".[studies]"`. A minute on two CPU cores.

# %%
import warnings

import matplotlib.pyplot as plt
import skimage.data
import torch
from torch import nn
from torchvision.models.video import r3d_18

from captum_featinv import FeatureMapInversion
from captum_featinv.images import Normalization, to_image
from captum_featinv.studies import exemplars

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}

# %% [markdown]
# ## 1. A network that tells three materials apart
#
# Grey images have one channel, (N, 1, H, W). They are normalised with a mean and a standard deviation of our own.

# %%
names = ["brick", "grass", "gravel"]
MEAN, STD = 0.45, 0.2
pictures = torch.stack([torch.from_numpy(getattr(skimage.data, name)()) for name in names])
pictures = (pictures.float() / 255 - MEAN) / STD


def patches(count, columns):
    """Random 48 x 48 patches and their materials; the columns keep training and test apart."""
    labels = torch.randint(3, (count,))
    tops = torch.randint(512 - 48, (count,))
    lefts = torch.randint(columns[0], columns[1] - 48, (count,))
    cut = [pictures[k, y : y + 48, x : x + 48] for k, y, x in zip(labels, tops, lefts, strict=True)]
    return torch.stack(cut)[:, None], labels


torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Conv2d(16, 32, 5, padding=2),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 3),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(150):
    images, labels = patches(32, (0, 384))
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()  # or every picture would be mixed with the rest of its batch
images, labels = patches(300, (384, 512))
with torch.no_grad():
    print(f"right on unseen patches: {(model(images).argmax(1) == labels).float().mean():.0%}")

# %% [markdown]
# ## 2. Its textures
#
# `mean` and `std` say how inputs were normalised, so that pictures stay displayable. For each material, the two filters that tell it best
# from the others: how much more their weight in the last layer is for it than for the other two, times their mean activation.
# Each row: a photo, then for either filter the patch where it fires most, and its texture.

# %%
photos = pictures[:, None, 160:320, 352:512]
with torch.no_grad():
    activations = model[:7](photos).mean((2, 3))
    weights = model[-1].weight
space = Normalization(MEAN, STD)
fmi = FeatureMapInversion(model, model[6], mean=MEAN, std=STD)
figure, axes = plt.subplots(3, 5, figsize=(13, 8.6), layout="constrained", dpi=100)
for k, (name, row) in enumerate(zip(names, axes, strict=True)):
    photo = photos[k : k + 1]
    more = weights[k] - weights[[other for other in range(3) if other != k]].mean(0)
    chosen = (more * activations[k]).topk(2).indices.tolist()
    textures = fmi.attribute(photo, neuron_selector=chosen, n_steps=60)
    report = fmi.report(textures, photo, chosen)
    patches = exemplars(model, "6", chosen, [(name, space.to_display(photo))], space, side=48)
    row[0].imshow(fmi.to_image(photo[0]), cmap="gray", vmin=0, vmax=1, interpolation="lanczos")
    row[0].set_title(name)
    for column, (texture, record) in enumerate(zip(textures[0], report, strict=True)):
        faint = record.contrast < 0.1
        shown = fmi.to_image(texture)
        if faint:  # or it would be a grey tile
            shown = (shown - shown.mean()) / (6 * shown.std()) + 0.5
        with torch.no_grad():
            said = names[int(model(texture[None]).argmax())]
        words = f"filter {record.filter}: rank {record.rank}, lift {record.lift:.1f}"
        words += f"\nread as {said}" + f", contrast {record.contrast:.2f}, stretched" * faint
        (patch,) = patches[record.filter]
        for axis, picture, title in (
            (row[1 + 2 * column], to_image(patch.patch, mean=None), "fires most here"),
            (row[2 + 2 * column], shown, words),
        ):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="lanczos")
            axis.set_title(title, fontsize=10)
for axis in axes.flat:
    axis.axis("off")
plt.show()

# %% [markdown]
# None of the pictures shows a material, and that is the finding. For *grass* the network asks for a hatching one or two pixels wide, which
# slants and turns (12) or mostly lies (25), for *gravel* for winding ridges two to three times as wide: it tells the two by the size of their
# edges, and has no idea of a blade or a stone. For *brick* there is hardly any texture. The pictures are nearly plain (contrast 0.04 and 0.03; here
# stretched, or they would be grey tiles), their filters come ninth and sixth, and lifts of 1.0 and 1.1 say that the photo excites
# them as much: brick is told by the *absence* of fine detail, and what one sees of joints is the layout of the photo, not a
# texture. The network itself reads each of the six pictures as the right material, so they do hold what it goes by.
#
# Mark the ranks: in so small a network every filter fires nearly everywhere, several look for nearly the same, and only one of the six, 25, is the strongest
# in its own picture. Read such filters together, not one by one.
#
# ## 3. What it says when something is wrong
#
# Inputs whose range does not fit to `mean` and `std`, and filters that never fire, are named in a warning. The picture of such a
# filter is the start image, never noise that looks like a texture.

# %%
silent = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
with torch.no_grad():
    silent[0].weight[1] = 0
    silent[0].bias[1] = -1  # this filter never fires
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    FeatureMapInversion(silent, "1", mean=MEAN, std=STD).attribute(photos[:1], 1, n_steps=5)
    FeatureMapInversion(model, "6", mean=MEAN, std=1.0).attribute(photos[:1], 1, n_steps=5)
for warning in caught:
    print(warning.message, "\n")

# %% [markdown]
# ## 4. Video
#
# Clips are (N, C, T, H, W), and so is the result. These weights are random: the call is right, and there is nothing learned to
# see.

# %%
video = r3d_18(weights=None).eval()
clip = torch.rand(1, 3, 8, 48, 48) * 2 - 1
moving = FeatureMapInversion(video, "layer1.0.conv1", mean=0.5, std=0.5)
print(tuple(moving.attribute(clip, neuron_selector=[0, 1], n_steps=10).shape))

# %% [markdown]
# ## What to try
#
# * A deeper network, or one with 8 filters in the first layer: when do the textures of grass and gravel change places?
# * Photos of your own: a folder of pictures is read by `captum_featinv.images.load_folder("grass", 160)`.
# * From the shell, with your module and weights: `captum-featinv invert photo.jpg --model my_module:make --weights mine.pt --mean 0.5
#   --std 0.25 --layer relu1`.
#
# Next: [short answers](08_answers.ipynb).
