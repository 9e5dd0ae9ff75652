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
# # Directions: parts, concepts, latents
#
# A filter is one direction among many in the space of a layer's activations, and often not the most telling one. Parts found by
# NMF, a concept vector, a latent of a sparse autoencoder are directions too. Written down as a *view* of the layer, each is a
# filter of a dictionary: its texture, its share, its rank come from the same method in that basis.
#
# Needs scikit-learn, and for section 2 `pip install overcomplete`.

# %%
import matplotlib
import matplotlib.pyplot as plt
import skimage.data
import torch
from PIL import Image

matplotlib.cm.get_cmap = matplotlib.colormaps.__getitem__  # Overcomplete 0.3 asks for the old name
from overcomplete.sae import TopKSAE, train_sae

from captum_featinv import FeatureMapInversion, Recipe, directions, views
from captum_featinv.codes import energies
from captum_featinv.images import middle_of
from captum_featinv.models import load_model
from captum_featinv.network import read_code
from captum_featinv.studies import explain, explanation_sheet

# %config InlineBackend.figure_formats = ["jpeg"]

loaded = load_model("vgg16", weights="hed", pooling="average")
model, layer = loaded.model, "features.13"  # relu3_2


def photos_of(names, size):
    """Photos of scikit-image as the model takes them."""
    pictures = [Image.fromarray(getattr(skimage.data, name)()) for name in names]
    return loaded.normalization.to_model(torch.cat([middle_of(p, size) for p in pictures]))


def show(fmi, photo, chosen):
    """The textures of some directions, and their numbers."""
    textures = fmi.attribute(photo, chosen, n_steps=40)
    report = fmi.report(textures, photo, chosen)
    _, axes = plt.subplots(1, len(chosen), figsize=(2.2 * len(chosen), 2.6))
    for axis, picture, record in zip(axes.flat, fmi.to_image(textures[0]), report, strict=True):
        axis.imshow(picture)
        axis.set_title(f"{record.filter}: share {record.share:.0%}", fontsize=10)
        axis.axis("off")
    plt.show()
    for record in report:
        print(f"{record.filter}: rank {record.rank}, lift {record.lift:.1f}")


photos = photos_of(["astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry"], 112)
cat = photos_of(["chelsea"], 96)

# %% [markdown]
# ## 1. Parts
#
# 32 non-negative parts of which the activations of 256 filters are made. What `nmf` gives is how to *read* each part's amount, so
# the view is a matrix and a ReLU.

# %%
parts = directions.nmf(model, layer, photos, 32)
fmi = FeatureMapInversion(model, layer, view=views.directions(parts, torch.relu))
show(fmi, cat, [0, 4, 17, 24, 26])

# %% [markdown]
# Each is the strongest part in its picture. They can be named: pink worms standing upright on green, a lattice of dark dots, wavy
# strands that stand, green bark, and wavy strands that lie.

# %% [markdown]
# ## 2. Latents of a sparse autoencoder
#
# Overcomplete trains one on the same activations: 256 latents, 16 of them at each place. Its encoder is the view; with the decoder,
# a view also knows its way back.

# %%
torch.manual_seed(0)
code = read_code(model, layer, photos)
places = code.movedim(1, -1).flatten(0, -2)
scale = places.std()
sae = TopKSAE(code.shape[1], 256, top_k=16)
loader = torch.utils.data.DataLoader(places / scale, 512, shuffle=True)
optimizer = torch.optim.Adam(sae.parameters(), 3e-3)
train_sae(
    sae,
    loader,
    lambda x, guess, *_: (x - guess).square().mean(),
    optimizer,
    nb_epochs=15,
    monitoring=0,
)
sae.eval()
latents = views.dictionary(lambda v: sae.encode(v / scale)[1], lambda z: sae.decode(z) * scale)

strongest = energies(read_code(model, layer, cat, view=latents))[0].topk(5).indices.tolist()
show(FeatureMapInversion(model, layer, view=latents), cat, strongest)

# %% [markdown]
# The third, 38, is the lattice of dark dots that the parts have as number 4; the others are fur and strands of one slant each. A
# latent that is seldom among the largest 16 may fire nowhere at the start; gradients are let through to it in the first steps.

# %% [markdown]
# ## 3. Concepts
#
# What tells brick, grass and gravel from one another at this layer? Photos of your own come from a folder:
# `loaded.normalization.to_model(captum_featinv.images.load_folder("grass", 96))`. Three directions have little to outdo, so they
# are completed to a basis: all that is orthogonal to them shall be silent.


# %%
def tiles_of(name):
    """Sixteen tiles of one of scikit-image's grey textures."""
    grey = torch.from_numpy(getattr(skimage.data, name)()).float() / 255
    tiles = grey.unfold(0, 96, 128).unfold(1, 96, 128).flatten(0, 1)
    return loaded.normalization.to_model(tiles[:, None].expand(-1, 3, -1, -1))


tiles = [tiles_of(name) for name in ("brick", "grass", "gravel")]
concepts = torch.cat(
    [
        directions.probe(model, layer, own, torch.cat([t for t in tiles if t is not own]))
        for own in tiles
    ]
)
basis = views.directions(directions.completed(concepts))
show(FeatureMapInversion(model, layer, view=basis), cat, [0, 1, 2])

# %% [markdown]
# Grass is a weave of dark dots, gravel slanting flakes in loud colours. Brick is said by wavy upright strands at a share of a few
# percent, behind two other directions: nobody in this network knows bricks, and a probe finds whatever tells three photos apart.

# %% [markdown]
# ## 4. Directions behind a prediction
#
# `explain` in a basis: principal components of a layer of EfficientNet-lite0, with both signs, because this layer puts out negative
# numbers too. What is silenced is a direction: the layer keeps what is orthogonal to it.

# %%
eye = load_model("efficientnet_lite0")
photo = middle_of(Image.fromarray(skimage.data.chelsea()), 224)
seen = torch.cat(
    [
        middle_of(Image.fromarray(getattr(skimage.data, n)()), 224)
        for n in ("chelsea", "astronaut", "coffee")
    ]
)
axes = directions.pca(eye.model, "_blocks.10", eye.normalization.to_model(seen), 24)
view = views.directions(torch.cat([axes, -axes]), torch.relu)
found = explain(
    eye.seen(view), photo, "_blocks.10", count=3, ablate=True, recipe=Recipe.default(n_steps=40)
)
print(
    f"{found.category}: without these three directions the score of {found.ablation.score:.2f} loses {found.ablation.drop:.2f},"
)
print(f"without three random ones {found.ablation.mean_random_drop:.2f} on average")
plt.figure(figsize=(6, 10.4))
plt.imshow(explanation_sheet(found))
plt.axis("off")
plt.show()

# %% [markdown]
# Number 25 shows speckled fur, 22 curls of fur, 12 upright bands of it, each at rank 0 among the 48 directions. Without the three the
# cat loses more of its score than without three random ones, though it keeps most of it.
#
# Back to [the first texture](01_first_texture.ipynb).
