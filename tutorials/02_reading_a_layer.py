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
# # Reading a layer
#
# What do the filters of one layer extract, which of them can be trusted, and how do they compare? Textures of a dozen filters
# of a trained VGG-16, sorted by their numbers.

# %%
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # Captum's bars, without widgets

import matplotlib.pyplot as plt
import skimage.data
import torch
from captum.attr import LayerActivation
from PIL import Image

from captum_featinv import FeatureMapInversion, codes
from captum_featinv.codes import live_filters
from captum_featinv.images import from_picture
from captum_featinv.models import load_model

# %config InlineBackend.figure_formats = ["jpeg"]

loaded = load_model("vgg16", weights="hed", pooling="average")
photo = from_picture(Image.fromarray(skimage.data.astronaut()), long_edge=112)
inputs = loaded.normalization.to_model(photo)

# %% [markdown]
# ## 1. Where the layer's energy is
#
# The code of `features.13` (relu3_2) has 256 feature maps. Their energies, the sums of activations, differ by orders of
# magnitude: a few filters carry most of what the layer says about this photo.

# %%
code = LayerActivation(loaded.model, loaded.model.features[13]).attribute(inputs).detach()
energies = codes.energies(code)[0]
order = energies.argsort(descending=True)
print("strongest filters:", order[:8].tolist())
print(f"the strongest 10% carry {energies[order[:26]].sum() / energies.sum():.0%} of the energy")
print("filters that never fire on this photo:", int((energies == 0).sum()))

# %% [markdown]
# ## 2. A dozen textures
#
# `live_filters` draws filters that fire on at least 1% of the places; the seed settles which. All of them are looked for in one
# call, eight at a time in one forward.

# %%
filters = live_filters(code, 12, seed=0)
fmi = FeatureMapInversion(loaded.model, "features.13")
textures = fmi.attribute(inputs, neuron_selector=filters, n_steps=40)
report = fmi.report(textures, inputs, filters)


def show(numbers, title):
    """The textures in this order, each with a caption."""
    figure, axes = plt.subplots(2, 6, figsize=(12, 4.9))
    pictures = fmi.to_image(textures[0])
    for axis, k in zip(axes.flat, numbers, strict=True):
        record = report[k]
        axis.imshow(pictures[k])
        axis.set_title(
            f"{record.filter}: {record.robust_share:.1%}, rank {record.rank}", fontsize=10
        )
        axis.axis("off")
    figure.suptitle(title)
    plt.show()


# %% [markdown]
# Sorted by *robust share*, the part of the layer's squared activation that is the filter's in the saved picture, in its
# JPEG and in a blurred copy, whichever is least. Rank 0 means that no filter of the layer is stronger.

# %%
by_share = sorted(range(len(filters)), key=lambda k: -report[k].robust_share)
show(by_share, "by robust share")

# %% [markdown]
# ## 3. What the numbers say
#
# `lift` compares with the photo: how many times its share there the filter has now. `coverage` is where it fires at all,
# `attained` how much of the energy asked for is there. A weak filter has a low share and a rank above 0: its picture also
# excites neighbours that look for nearly the same, so it must be read with them.

# %%
print(report)

# %% [markdown]
# ## 4. Filters that look for the same
#
# Two filters are alike if the texture of the one excites the other. Row: the picture of a filter; column: the share of each
# filter of the dozen in it. A bright diagonal means that pictures belong to their filters.

# %%
shown = torch.cat(list(textures))
answers = LayerActivation(loaded.model, loaded.model.features[13]).attribute(shown).detach()
squares = answers.flatten(2).square().sum(2)
shares = (squares / squares.sum(1, keepdim=True))[:, filters]
figure, axis = plt.subplots(figsize=(5.4, 4.6))
drawn = axis.imshow(shares.sqrt().numpy(), cmap="magma", vmin=0)
axis.set_xticks(range(12), filters, rotation=90)
axis.set_yticks(range(12), filters)
axis.set_xlabel("filter")
axis.set_ylabel("picture of filter")
figure.colorbar(drawn, label="square root of the share")
plt.show()
own = shares.argmax(1) == torch.arange(12)
print(f"{int(own.sum())} of 12 pictures excite their own filter most, of these twelve")

# %% [markdown]
# ## 5. Two layers side by side
#
# The same measures over layers: deeper filters use more colours.

# %%
for name, layer in {
    "relu1_2": "features.3",
    "relu3_2": "features.13",
    "relu4_2": "features.20",
}.items():
    module = loaded.model.get_submodule(layer)
    chosen = live_filters(LayerActivation(loaded.model, module).attribute(inputs).detach(), 4)
    deeper = FeatureMapInversion(loaded.model, layer)
    found = deeper.report(deeper.attribute(inputs, chosen, n_steps=40), inputs, chosen)
    colours = sorted(record.colours for record in found)
    print(f"{name}: effective colours {colours[0]:.1f} to {colours[-1]:.1f}")

# %% [markdown]
# Next: [style from textures](03_style.ipynb).
