"""Causal inference: vectors of shots from the shots so far, for live material and for evaluation.

A shot's vector is that of the last shot of a window that ends with it and has at most `look_back`
shots. Later shots have no effect, and the effect of earlier ones is bounded: memory and the time
per shot are the same after ten hours as after ten minutes.

Imports torch: import this module only where vectors are computed.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mediafm_core.errors import MediaFMError
from mediafm_core.inference.batching import (
    CheckedTitle,
    ShotSequence,
    TitleInput,
    checked,
    inference,
    read_sequences,
)
from mediafm_core.model.inputs import check_global
from mediafm_core.model.network import MediaFM
from mediafm_core.runtime.precision import Precision


def look_back_of(network: MediaFM, look_back: int | None) -> int:
    """Return the look-back in shots: the network's `max_shots` for None.

    Raises:
        MediaFMError: it is 0 or more than the network reads at once.
    """
    longest = network.config.max_shots
    if look_back is None:
        return longest
    if not 1 <= look_back <= longest:
        raise MediaFMError(
            f"The look-back is {look_back} shots: take one from 1 to {longest}, the most "
            "that the model reads at once."
        )
    return look_back


def embed_up_to(
    network: MediaFM,
    fused: np.ndarray,
    ends: Sequence[int] | np.ndarray | None = None,
    global_vector: np.ndarray | None = None,
    *,
    look_back: int | None = None,
    title_id: str = "the title",
    precision: Precision = "float32",
) -> np.ndarray:
    """Compute the vector of the last shot before each end, without the shots after it.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        fused: `[n, d]` fused vectors of all shots in order.
        ends: `[k]`, each from 1 to `n`: the window `[end - look_back, end)` gives the vector of
            shot `end - 1`. None computes every shot, at `look_back` times the cost of a
            full-title inference.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        look_back: shots in a window, the last one included; None uses the network's `max_shots`.
        title_id: named in errors.
        precision: of the network; the vectors are float32.

    Returns:
        float32 `[k, h]`. Each row is, to 1e-5, the last of `embed_alone` on its window.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
        MediaFMError: an unusable look-back, or an end outside the title.
    """
    title = checked(network, TitleInput(fused, global_vector, title_id))
    longest = look_back_of(network, look_back)
    count = len(title.fused)
    wanted_ends = np.arange(1, count + 1) if ends is None else np.asarray(ends, dtype=np.int64)
    outside = wanted_ends[(wanted_ends < 1) | (wanted_ends > count)]
    if len(outside):
        raise MediaFMError(
            f"{title_id} has no shots before end {outside[0]}: take ends from 1 to {count}."
        )
    return _last_of_windows(network, title, wanted_ends, longest, precision)


def embed_span_up_to(
    network: MediaFM,
    fused: np.ndarray,
    start: int,
    stop: int,
    global_vector: np.ndarray | None = None,
    *,
    look_back: int | None = None,
    title_id: str = "the title",
    precision: Precision = "float32",
) -> np.ndarray:
    """Compute the vectors of shots `[start, stop)` from these and the shots before them.

    Args:
        network: as in `embed_up_to`.
        fused: `[n, d]` fused vectors of the title's shots up to `stop` at least.
        start: first shot.
        stop: after the last shot: the window is `[stop - look_back, stop)`.
        global_vector: as in `embed_up_to`.
        look_back: as in `embed_up_to`, at least as long as the span.
        title_id: named in errors.
        precision: as in `embed_up_to`.

    Returns:
        float32 `[stop - start, h]`.

    Raises:
        TitleError: as `embed_up_to`.
        MediaFMError: an unusable look-back, one shorter than the span, or no such shots.
    """
    longest = look_back_of(network, look_back)
    if not 0 <= start < stop <= len(fused):
        raise MediaFMError(
            f"{title_id} has no shots from {start} up to {stop}: take a first shot and a later end "
            f"between 0 and {len(fused)}."
        )
    if stop - start > longest:
        raise MediaFMError(
            f"{title_id}: the span has {stop - start} shots, more than the look-back of {longest}: "
            "take a shorter span or a longer look-back."
        )
    first = max(0, stop - longest)
    title = checked(network, TitleInput(fused[first:stop], global_vector, title_id))
    with inference(network):
        sequences = [ShotSequence(0, 0, len(title.fused))]
        (read,) = read_sequences(network, [title], sequences, precision=precision)
        return read.shots[start - first :].cpu().numpy()


class LiveReader:
    """Reader of live material: computes each shot's vector when it arrives.

    It keeps the last `look_back` fused vectors and no other state.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        global_vector: `[g]` metadata embedding, None where there is none.
        look_back: shots in a window, the newest one included; None uses the network's `max_shots`.
        title_id: named in errors.
        precision: of the network; the vectors are float32.

    Attributes:
        shots_read: number of shots so far.

    Raises:
        TitleError: unusable metadata.
        MediaFMError: an unusable look-back.
    """

    def __init__(
        self,
        network: MediaFM,
        global_vector: np.ndarray | None = None,
        *,
        look_back: int | None = None,
        title_id: str = "the title",
        precision: Precision = "float32",
    ) -> None:
        self.shots_read = 0
        self._network = network
        self._global = check_global(global_vector, network.config.global_size, title_id)
        self._look_back = look_back_of(network, look_back)
        self._title_id = title_id
        self._precision: Precision = precision
        self._recent = np.empty((0, network.config.fused_size), dtype=np.float32)

    def read(self, fused: np.ndarray) -> np.ndarray:
        """Compute the vectors of the next shots.

        Args:
            fused: `[m, d]` fused vectors in order, one or several; their number in a call changes
                vectors by 1e-5 at most.

        Returns:
            float32 `[m, h]`, as `embed_up_to` gives them.

        Raises:
            TitleError: vectors of the wrong width, not finite or zero, or none; the reader is then
                unchanged, and can continue with repaired ones.
        """
        network = self._network
        new = checked(network, TitleInput(fused, self._global, self._title_id))
        window = np.concatenate([self._recent, new.fused])
        ends = np.arange(len(self._recent) + 1, len(window) + 1)
        vectors = _last_of_windows(
            network, new._replace(fused=window), ends, self._look_back, self._precision
        )
        self._recent = window[-self._look_back :].copy()
        self.shots_read += len(new.fused)
        return vectors


def _last_of_windows(
    network: MediaFM, title: CheckedTitle, ends: np.ndarray, look_back: int, precision: Precision
) -> np.ndarray:
    """Compute vectors `[k, h]` of the last shot of each window `[end - look_back, end)`."""
    sequences = [ShotSequence(0, max(0, end - look_back), end) for end in ends.tolist()]
    with inference(network):
        vectors = torch.empty(len(sequences), network.config.context_size, device=network.device)
        for read in read_sequences(network, [title], sequences, precision=precision):
            vectors[read.sequence] = read.shots[-1]
    return vectors.cpu().numpy()
