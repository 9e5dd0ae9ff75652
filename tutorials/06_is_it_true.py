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
# # Is it true?
#
# A picture of a filter is a claim about a network, and claims can be checked. This notebook measures the paper's three
# claims on a small sample, beside controls, and says what the pictures do not show.

# %%
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # Captum's bars, without widgets

import skimage.data
import torch
from IPython.display import display
from PIL import Image

from captum_featinv import Recipe
from captum_featinv.images import central_square, from_picture
from captum_featinv.models import load_model
from captum_featinv.studies import as_text, claim_figures, measure_claims

# %matplotlib inline
# %config InlineBackend.figure_formats = ["jpeg"]

# %% [markdown]
# ## 1. Three claims
#
# 1. Every filter extracts a texture of its own. *Measured:* is a picture nearest to the picture of the same filter from
#    another photo?
# 2. Higher layers extract more colours and more intricate structure. *Measured:* the rank correlation of each measure
#    with depth, at one contrast.
# 3. Style is a combination of these textures, so energies explain what Gram matrices measure. *Measured:* the share of
#    the Gram distance between photos that is due to energies, and how far it falls when only energies are matched.
#
# Who compares two pictures must not be the layer that they were made for. The default judge has random filters at four
# scales and was trained for nothing. Here: three layers, four filters, two photos of 64 px; a real answer takes the
# command line's `captum-featinv claims` and some minutes.

# %%
loaded = load_model("vgg16", weights="hed", pooling="average")
pictures = [skimage.data.astronaut(), skimage.data.coffee()]
photos = torch.cat([from_picture(central_square(Image.fromarray(p)), 64) for p in pictures])
layers = ["features.3", "features.13", "features.20"]
claims = measure_claims(loaded, photos, layers, filters=4, recipe=Recipe.default(n_steps=20))
print(as_text(claims))

# %% [markdown]
# With four filters and two photos nothing is decided: a verdict takes six of each and intervals that are narrow enough.

# %%
for figure in claim_figures(claims).values():
    display(figure)

# %% [markdown]
# ## 2. The same with random weights
#
# A method that shows what a network has learned must show something else when it has learned nothing (Adebayo et al.
# 2018, arXiv 1810.03292). The table's last part draws the weights anew and asks whether the same filters still have
# the same pictures. The whole study on a random network is the control for everything else: what rises with depth there as
# well is no evidence of learning.

# %%
random = load_model("vgg16", weights="random", pooling="average")
print(as_text(measure_claims(random, photos, layers, filters=4, recipe=Recipe.default(n_steps=20))))

# %% [markdown]
# Mark claim 1: with random weights pictures are told apart at least as well as with trained ones. Random filters have
# textures of their own too, so pictures that differ are no evidence of learning; pictures that *change* with the weights are.
#
# ## 3. What no picture shows
#
# Geirhos et al. (arXiv 2306.04719) build networks whose feature visualisations show anything they like, while the network
# does something else on natural photos: an optimised picture lies off the path that natural images take through a
# network. Feature map inversion is no exception. What helps, and what it helps against:
#
# * the **robust share** is the least over the saved picture, its JPEG and a blurred copy, so a faint pattern that no one can see
#   does not count as a texture;
# * **another network** that tells filters apart by their pictures shows that something visible is there;
# * **natural patches** (`captum-featinv explain --exemplars`) and **ablation** are about natural images, where a prepared
#   network gives itself away;
# * none of them proves that a filter does in the network what its texture suggests.
#
# Next: [your own model](07_your_own_model.ipynb).
