"""A small network with drawn weights, and titles for it."""

import numpy as np
import torch

from mediafm_core.model.network import MediaFM, MediaFMConfig
from mediafm_core.model.training.input_statistics import fit_statistics
from mediafm_core.vectors import unit_length


def make_network(
    max_shots: int = 64, attention: str = "two_directions", boundary_head: bool = False
) -> MediaFM:
    """Make a network whose input is measured on made titles."""
    config = MediaFMConfig(
        fused_size=20,
        global_size=5,
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=32,
        max_shots=max_shots,
        initializer_range=0.2,
        attention=attention,
        boundary_head=boundary_head,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = MediaFM(config)
    fit_statistics(network, [torch.from_numpy(make_title(60, seed)[0]) for seed in (8, 9)])
    return network


def make_title(shots: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    fused = unit_length(rng.standard_normal((shots, 20)))
    return fused, rng.standard_normal(5).astype(np.float32)
