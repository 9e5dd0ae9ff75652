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

# %%
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # Captum's bars, without widgets

import matplotlib.pyplot as plt
import skimage.data
import torch
from torch import nn
from torchvision.models.video import r3d_18

from captum_featinv import FeatureMapInversion

# %config InlineBackend.figure_formats = ["jpeg"]

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
# `mean` and `std` say how inputs were normalised, so that pictures stay displayable. For each material, the filter that matters
# most for it: its weight in the last layer times its mean activation.

# %%
photos = pictures[:, None, 200:296, 400:496]
with torch.no_grad():
    activations = model[:7](photos).mean((2, 3))
chosen = [int((model[-1].weight[k] * activations[k]).argmax()) for k in range(3)]
fmi = FeatureMapInversion(model, model[6], mean=MEAN, std=STD)
figure, axes = plt.subplots(2, 3, figsize=(8, 5.6))
for k, name in enumerate(names):
    photo = photos[k : k + 1]
    texture = fmi.attribute(photo, neuron_selector=chosen[k], n_steps=60)
    (record,) = fmi.report(texture, photo, chosen[k])
    axes[0, k].imshow(fmi.to_image(photo[0]), cmap="gray", vmin=0, vmax=1)
    axes[0, k].set_title(name)
    axes[1, k].imshow(fmi.to_image(texture[0]), cmap="gray", vmin=0, vmax=1)
    axes[1, k].set_title(
        f"filter {chosen[k]}: rank {record.rank}, lift {record.lift:.1f}", fontsize=10
    )
for axis in axes.flat:
    axis.axis("off")
plt.show()

# %% [markdown]
# The filter for grass is the strongest of its layer in its picture, a fine hatching. The one for gravel comes third (rank 2), in
# rounded stripes. The one for brick is behind four others, and a lift near 1 says that the photo excites it as much: its
# picture, next to plain, must not be read as brick's texture. In so small a network every filter fires nearly everywhere.

# %% [markdown]
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
# Next: [short answers](08_answers.ipynb).
