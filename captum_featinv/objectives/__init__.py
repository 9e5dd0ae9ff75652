"""What an image is optimised for: losses, lower is better, as in Lucent. The loop never negates.

An objective is a callable from activations, `T` in Lucent, to a scalar to be minimised;
activations are a callable from a layer's name to its output, the image under `"input"`. Objectives
ask by Lucent's underscored names, so the same ones work in its `render_vis` and in ours.
"""

from captum_featinv.objectives.activation import channel, channel_weight, direction
from captum_featinv.objectives.batch import alignment, channel_interpolate, diversity
from captum_featinv.objectives.coercion import as_objective
from captum_featinv.objectives.factory import handle_batch, wrap_objective
from captum_featinv.objectives.match import code_match, feature_map
from captum_featinv.objectives.objective import Objective
from captum_featinv.objectives.penalty import alpha_norm, blur_input_each_step, total_variation
from captum_featinv.objectives.place import (
    direction_neuron,
    localgroup_weight,
    neuron,
    neuron_weight,
)
from captum_featinv.objectives.reference import feature_map_ref
from captum_featinv.objectives.style import channel_energy_match, gram_match

__all__ = [
    "Objective",
    "alignment",
    "alpha_norm",
    "as_objective",
    "blur_input_each_step",
    "channel",
    "channel_energy_match",
    "channel_interpolate",
    "channel_weight",
    "code_match",
    "direction",
    "direction_neuron",
    "diversity",
    "feature_map",
    "feature_map_ref",
    "gram_match",
    "handle_batch",
    "localgroup_weight",
    "neuron",
    "neuron_weight",
    "total_variation",
    "wrap_objective",
]
