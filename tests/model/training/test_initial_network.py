"""The network before the first step of a training is the one that the training starts from."""

import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.initial_network import (
    initial_network,
    network_configuration,
    own_randomness,
    redrawn_network,
    untrained_network,
)
from mediafm_core.model.training.training import train

TINY = ModelSettings(hidden=32, layers=2, heads=2, feed_forward=64, max_shots=40)
BRIEF = TrainingSettings(steps=3, titles_per_batch=3, crop_shots=12, validate_every=3, seed=7)
# Smaller than the spacing of float32 beside any weight that is not zero.
STANDSTILL = {"muon_learning_rate": 1e-30, "adamw_learning_rate": 1e-30}


def differing(one: MediaFM, other: MediaFM) -> set[str]:
    others = other.state_dict()
    return {
        name
        for name, tensor in one.state_dict().items()
        if not torch.allclose(tensor, others[name], rtol=0, atol=1e-20)
    }


def test_a_training_that_stands_still_ends_where_it_starts(make_catalogue, tmp_path) -> None:
    data, objective = make_catalogue(30, 9, 12, 20, 11), ObjectiveSettings()
    before = untrained_network(data, TINY, objective, BRIEF)
    still = train(data, TINY, BRIEF.model_copy(update=STANDSTILL), tmp_path)
    assert not differing(before, still.network)
    assert not before.training


def test_a_trained_network_shows_the_one_it_started_from(make_catalogue, tmp_path) -> None:
    data, objective = make_catalogue(30, 9, 12, 20, 11), ObjectiveSettings()
    trained = train(data, TINY, BRIEF, tmp_path).network
    before = untrained_network(data, TINY, objective, BRIEF)
    assert "shot_tokens.projection.weight" in differing(trained, before)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    again = redrawn_network(trained, BRIEF.seed)
    assert torch.equal(torch.get_rng_state(), state)
    assert not differing(again, before)
    assert not again.training
    assert differing(redrawn_network(trained, BRIEF.seed + 1), before)


def test_of_held_out_titles_only_the_content_head_learns(make_catalogue) -> None:
    trained_on = list(range(6))

    def before(*shots: int) -> MediaFM:
        data = make_catalogue(*shots)
        config = network_configuration(data, TINY, ObjectiveSettings())
        with own_randomness(BRIEF.seed, torch.device("cpu")):
            return initial_network(config, data, trained_on, BRIEF)

    shots = (30, 24, 40, 30, 25, 35)
    found = differing(before(*shots), before(*shots, 30, 40, 35))
    assert "content_head.weight_0" in found
    assert all(name.startswith("content_head.") for name in found)
