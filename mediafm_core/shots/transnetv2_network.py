"""TransNetV2, reimplemented for fast inference.

The network of Souček and Lokoč, "TransNet V2: An effective deep network architecture for fast shot
transition detection" (arXiv 2008.04838), with the published weights and equivalent operations.
Three changes make it several times faster on a CPU than 3-D convolutions over
`[channels, frames, rows, columns]`:

- A separable 3-D convolution is a 2-D convolution of each frame, then one along time. Both run as
  2-D convolutions over channels-last tensors, for which CPUs have the fastest kernels.
- Batch normalisation and the scaling of pixels are folded into the weights.
- The stages run in slices of time, so that the tensors of the largest stage, the first, stay small
  enough for the allocator to reuse memory. Slices overlap by a stage's receptive field, so that the
  results equal those of an unsliced run.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

DILATIONS = (1, 2, 4, 8)
CHANNELS = (16, 32, 64)
"""Channels of one branch in each of the three stages."""

_BRANCHES = len(DILATIONS)
_LAYERS = 2
_FEATURES = 128
_HIDDEN = 1024
_NEIGHBOURS = 50  # frames on each side that a frame is compared with
_LAST_ROWS, _LAST_COLUMNS = 3, 6
_STAGE_CONTEXT = _LAYERS * max(DILATIONS)
_SLICE_FRAMES = 128  # in the first stage; each further stage has a quarter of the pixels
_HISTOGRAM_BITS = 3  # per colour
_BATCH_NORM_EPSILON = 1e-3


class DilatedBlock(nn.Module):
    """Four branches of separable convolutions with different dilations in time."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.spatial = nn.ModuleList(
            nn.Conv2d(in_channels, 2 * channels, 3, padding=1, bias=False) for _ in DILATIONS
        )
        self.temporal = nn.ModuleList(
            nn.Conv2d(2 * channels, channels, (3, 1), dilation=(d, 1), padding=(d, 0))
            for d in DILATIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[T, in_channels, H, W]` to `[T, 4 * channels, H, W]`, channels last in memory."""
        frames, _, height, width = x.shape
        branches = []
        for spatial, temporal in zip(self.spatial, self.temporal, strict=True):
            y = spatial(x).permute(0, 2, 3, 1)  # [T, H, W, 2c]
            y = y.reshape(1, frames, height * width, -1).permute(0, 3, 1, 2)  # [1, 2c, T, HW]
            y = temporal(y).permute(0, 2, 3, 1)  # [1, T, HW, c]
            branches.append(y.reshape(frames, height, width, -1))
        return torch.stack(branches, dim=3).flatten(3).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Two dilated blocks with a shortcut, then pooling of 2 x 2 pixels."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = DilatedBlock(in_channels, channels)
        self.second = DilatedBlock(_BRANCHES * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[T, in_channels, H, W]` to `[T, 4 * channels, H // 2, W // 2]`."""
        x = self.first(x).relu_()
        x = self.second(x).relu_().add_(x)
        return functional.avg_pool2d(x, 2)


class TransNetV2(nn.Module):
    """Network that predicts for each frame the probability of being part of a transition.

    Load with `load_published`. Convolutions and the hidden layer may run in bfloat16; comparisons
    between frames and the output run in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = [_BRANCHES * channels for channels in CHANNELS]
        self.stages = nn.ModuleList(
            Stage(in_channels, channels)
            for in_channels, channels in zip([3, *widths], CHANNELS, strict=False)
        )
        self.projection = nn.Linear(sum(widths), _FEATURES)
        self.similarity = nn.Linear(2 * _NEIGHBOURS + 1, _FEATURES)
        self.histogram = nn.Linear(2 * _NEIGHBOURS + 1, _FEATURES)
        pixels = _LAST_ROWS * _LAST_COLUMNS
        self.hidden = nn.Linear(2 * _FEATURES + pixels * widths[-1], _HIDDEN)
        self.output = nn.Linear(_HIDDEN, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Predict the probabilities of one window of consecutive frames.

        Args:
            frames: RGB, `[T, 27, 48, 3]` uint8.

        Returns:
            `[T]` float32.
        """
        dtype = self.hidden.weight.dtype
        x = frames.permute(0, 3, 1, 2).to(dtype)  # [T, 3, H, W], channels last in memory
        means = []
        for number, stage in enumerate(self.stages):
            x = in_slices(stage, x, _SLICE_FRAMES * 4**number)
            means.append(x.mean((2, 3), dtype=torch.float32))
        projected = self.projection(torch.cat(means, dim=1))  # [T, 128]
        features = torch.cat(
            [
                self.histogram(similarities(colour_histograms(frames))).relu(),
                self.similarity(similarities(projected)).relu(),
                x.permute(0, 2, 3, 1).flatten(1),
            ],
            dim=1,
        )  # [T, 2 * 128 + 3 * 6 * 256]
        hidden = self.hidden(features.to(dtype)).relu().float()
        return torch.sigmoid(self.output(hidden)).squeeze(1)


def in_slices(stage: nn.Module, x: Tensor, frames: int) -> Tensor:
    """Apply a stage to `x` `[T, C, H, W]`, computing `frames` frames at a time."""
    pooled = []
    for start in range(0, len(x), frames):
        before = min(start, _STAGE_CONTEXT)
        piece = stage(x[start - before : start + frames + _STAGE_CONTEXT])
        pooled.append(piece[before : before + frames])
    return torch.cat(pooled)


def similarities(features: Tensor) -> Tensor:
    """Compute the cosine similarity of each frame to its neighbours, zero beyond the window.

    Args:
        features: `[T, dimension]` float32.

    Returns:
        `[T, 101]`: similarity to the 50 frames before, to itself, to the 50 frames after.
    """
    features = functional.normalize(features, dim=1)
    frames, width = len(features), 2 * _NEIGHBOURS + 1
    padded = functional.pad(features @ features.T, (_NEIGHBOURS, _NEIGHBOURS))  # [T, T + 100]
    # Row t of the band starts t columns further right than row 0.
    return padded.as_strided((frames, width), (padded.shape[1] + 1, 1))


def colour_histograms(frames: Tensor) -> Tensor:
    """Count pixels in 8 x 8 x 8 colour bins: from `[T, H, W, 3]` uint8 to `[T, 512]` float32."""
    colours = 1 << 3 * _HISTOGRAM_BITS
    levels = (frames.flatten(1, 2) >> (8 - _HISTOGRAM_BITS)).int()  # [T, HW, 3]
    red, green, blue = levels.unbind(dim=2)
    colour = (red << 2 * _HISTOGRAM_BITS) + (green << _HISTOGRAM_BITS) + blue  # [T, HW]
    colour += torch.arange(len(frames), device=frames.device, dtype=torch.int32)[:, None] * colours
    counts = torch.bincount(colour.flatten(), minlength=len(frames) * colours)
    return counts.view(len(frames), colours).float()


def load_published(weights: Mapping[str, Tensor], device: str, dtype: torch.dtype) -> TransNetV2:
    """Build the network from the published PyTorch weights.

    Args:
        weights: the state dict of the authors' implementation.
        device: torch device.
        dtype: precision of convolutions and hidden layer, float32 or bfloat16.
    """
    with torch.device("meta"):  # allocates and initialises no weights: they are replaced below
        network = TransNetV2()
    network.load_state_dict(_rearranged(weights), assign=True)
    network.to(device)
    network.stages.to(dtype).to(memory_format=torch.channels_last)
    network.hidden.to(dtype)
    return network.eval().requires_grad_(False)


def _rearranged(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the published state dict to this module's names and shapes."""
    names = {
        "projection": "frame_sim_layer.projection",
        "similarity": "frame_sim_layer.fc",
        "histogram": "color_hist_layer.fc",
        "hidden": "fc1",
        "output": "cls_layer1",
    }
    state = {
        f"{own}.{part}": published[f"{name}.{part}"]
        for own, name in names.items()
        for part in ("weight", "bias")
    }
    for stage in range(len(CHANNELS)):
        for layer, own_layer in enumerate(("first", "second")):
            block = f"SDDCNN.{stage}.DDCNN.{layer}"
            scale, shift = _batch_norm(published, f"{block}.bn")
            channels = CHANNELS[stage]
            for branch, dilation in enumerate(DILATIONS):
                part = slice(branch * channels, (branch + 1) * channels)
                spatial = published[f"{block}.Conv3D_{dilation}.layers.0.weight"].squeeze(2)
                temporal = published[f"{block}.Conv3D_{dilation}.layers.1.weight"].squeeze(4)
                if stage == 0 and layer == 0:
                    spatial = spatial / 255  # pixels come in as 0 to 255
                own = f"stages.{stage}.{own_layer}"
                state[f"{own}.spatial.{branch}.weight"] = spatial
                state[f"{own}.temporal.{branch}.weight"] = temporal * scale[part, None, None, None]
                state[f"{own}.temporal.{branch}.bias"] = shift[part]
    return state


def _batch_norm(published: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Return the scale and shift per channel that replace batch normalisation in inference."""
    variance = published[f"{name}.running_var"] + _BATCH_NORM_EPSILON
    scale = published[f"{name}.weight"] / variance.sqrt()
    return scale, published[f"{name}.bias"] - published[f"{name}.running_mean"] * scale
