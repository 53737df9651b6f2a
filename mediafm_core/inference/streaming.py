"""Shots read up to now: for live material, and for asking what could have been known by then.

A shot's vector is that of the last shot of a window that ends with it and holds at most `look_back`
shots. What comes later changes nothing, and how far the past counts is bounded: memory and the time
per shot are the same after ten hours as after ten minutes.

Imports torch: import this module only where vectors are really computed.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mediafm_core.errors import MediaFMError
from mediafm_core.inference.batching import (
    CheckedTitle,
    Run,
    TitleInput,
    checked,
    inference,
    read_runs,
)
from mediafm_core.model.inputs import check_global
from mediafm_core.model.network import MediaFM
from mediafm_core.runtime.precision import Precision


def look_back_of(network: MediaFM, look_back: int | None) -> int:
    """The look-back in shots: the network's `max_shots` for None.

    Raises:
        MediaFMError: no shots, or more than the network reads at once.
    """
    longest = network.config.max_shots
    if look_back is None:
        return longest
    if not 1 <= look_back <= longest:
        raise MediaFMError(
            f"The look-back is {look_back} shots: take one from 1 to {longest}, which is what the "
            "model reads at once."
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
    arithmetic: Precision = "float32",
) -> np.ndarray:
    """The last shot before each end, read with nothing after it.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        fused: `[n, d]` fused vectors of all shots in order.
        ends: `[k]`, each from 1 to `n`: the window `[end - look_back, end)` gives the vector of
            shot `end - 1`. None reads every shot so, which costs `look_back` times a full-title
            inference.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        look_back: shots in a window, the last one included; None takes the network's `max_shots`.
        title_id: named in errors.
        arithmetic: of the network; the vectors are float32.

    Returns:
        float32 `[k, h]`. Each row is, to 1e-5, the last of `embed_alone` on its window.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
        MediaFMError: an unusable look-back, or an end outside the title.
    """
    title = checked(network, TitleInput(fused, global_vector, title_id))
    longest = look_back_of(network, look_back)
    count = len(title.fused)
    asked = np.arange(1, count + 1) if ends is None else np.asarray(ends, dtype=np.int64)
    outside = asked[(asked < 1) | (asked > count)]
    if len(outside):
        raise MediaFMError(
            f"{title_id} has no shots before end {outside[0]}: take ends from 1 to {count}."
        )
    return _last_of_windows(network, title, asked, longest, arithmetic)


def embed_span_up_to(
    network: MediaFM,
    fused: np.ndarray,
    start: int,
    stop: int,
    global_vector: np.ndarray | None = None,
    *,
    look_back: int | None = None,
    title_id: str = "the title",
    arithmetic: Precision = "float32",
) -> np.ndarray:
    """The shots `[start, stop)`, read together with what came before them and nothing after.

    Args:
        network: as in `embed_up_to`.
        fused: `[n, d]` fused vectors of the title's shots up to `stop` at least.
        start: first shot.
        stop: after the last shot: the window is `[stop - look_back, stop)`.
        global_vector: as in `embed_up_to`.
        look_back: as in `embed_up_to`; the span must fit in.
        title_id: named in errors.
        arithmetic: as in `embed_up_to`.

    Returns:
        float32 `[stop - start, h]`.

    Raises:
        TitleError: as `embed_up_to`.
        MediaFMError: an unusable look-back or one that is shorter than the span, or no such shots.
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
        runs = [Run(0, 0, len(title.fused))]
        (read,) = read_runs(network, [title], runs, arithmetic=arithmetic)
        return read.shots[start - first :].cpu().numpy()


class LiveReader:
    """Gives each shot's vector as it arrives, from the shots up to it.

    Holds the last `look_back` fused vectors and nothing else of what it has seen.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        global_vector: `[g]` metadata embedding, None where there is none.
        look_back: shots in a window, the newest one included; None takes the network's `max_shots`.
        title_id: named in errors.
        arithmetic: of the network; the vectors are float32.

    Attributes:
        shots_read: how many have arrived.

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
        arithmetic: Precision = "float32",
    ) -> None:
        self.shots_read = 0
        self._network = network
        self._global = check_global(global_vector, network.config.global_size, title_id)
        self._look_back = look_back_of(network, look_back)
        self._title_id = title_id
        self._arithmetic: Precision = arithmetic
        self._held = np.empty((0, network.config.fused_size), dtype=np.float32)

    def read(self, fused: np.ndarray) -> np.ndarray:
        """Take the next shots.

        Args:
            fused: `[m, d]` fused vectors in order, one or several; how many arrive together makes
                no difference to about 1e-5.

        Returns:
            float32 `[m, h]`, as `embed_up_to` gives them.

        Raises:
            TitleError: vectors of the wrong width, not finite or zero, or none; the reader is then
                as it was before, and can go on with mended ones.
        """
        network = self._network
        new = checked(network, TitleInput(fused, self._global, self._title_id))
        seen = np.concatenate([self._held, new.fused])
        ends = np.arange(len(self._held) + 1, len(seen) + 1)
        vectors = _last_of_windows(
            network, new._replace(fused=seen), ends, self._look_back, self._arithmetic
        )
        self._held = seen[-self._look_back :].copy()
        self.shots_read += len(new.fused)
        return vectors


def _last_of_windows(
    network: MediaFM, title: CheckedTitle, ends: np.ndarray, look_back: int, arithmetic: Precision
) -> np.ndarray:
    """Vector of the last shot of each window `[end - look_back, end)`, `[k, h]`."""
    runs = [Run(0, max(0, end - look_back), end) for end in ends.tolist()]
    with inference(network):
        vectors = torch.empty(len(runs), network.config.hidden_size, device=network.device)
        for read in read_runs(network, [title], runs, arithmetic=arithmetic):
            vectors[read.run] = read.shots[-1]
    return vectors.cpu().numpy()
