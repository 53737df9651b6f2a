"""Settings that were removed, and what holds in their place.

A configuration that names one is refused with one sentence.
"""

_NOTHING_ADDED = "no features are added to a network's input"
_ZEROS = "a missing modality is zero"
_POSITIONS = "they follow from model.attention"
_WHOLE_SHOTS = "single shots are masked, with all of their modalities"
_NO_CONTRAST = "model.attention two_directions compares shots by objective.past_future_weight"

REMOVED_SETTINGS: dict[str, str] = {
    "model.absent": _ZEROS,
    "model.context_layer": "contextual vectors are read after the last layer, with model.attention "
    "bidirectional after the last but one",
    "model.fusion": "the modalities of a shot are concatenated, as published",
    "model.missing_modality": _ZEROS,
    "model.neighbour_means": _NOTHING_ADDED,
    "model.positions": _POSITIONS,
    "model.prediction": "masked shots are predicted by a linear map, as published",
    "model.surroundings": _NOTHING_ADDED,
    "objective.contrastive_temperature": _NO_CONTRAST,
    "objective.contrastive_weight": _NO_CONTRAST,
    "objective.modality_dropout": "model.modality_dropout drops modalities of single shots",
    "objective.single_modality_ratio": _WHOLE_SHOTS,
    "objective.single_modality_share": _WHOLE_SHOTS,
    "objective.span_shots": _WHOLE_SHOTS,
}
"""Replacement of each setting, as a clause, by its name with its section."""
