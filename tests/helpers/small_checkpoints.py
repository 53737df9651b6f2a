"""Small checkpoints in the formats of the real ones, with weights that are always the same."""

import json
from pathlib import Path


def save_clip(folder: Path) -> Path:
    """Save an open_clip checkpoint of width 12."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    config = {
        "embed_dim": 12,
        "vision_cfg": {
            "image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1,
        },
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = open_clip.CLIP(**config)
    folder.mkdir()
    preprocessing = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    )
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def save_wav2vec2(folder: Path) -> Path:
    """Save a wav2vec 2.0 checkpoint of width 24."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder
