"""Downmix of audio with any number of channels to 16 kHz mono, 16 bit.

libav mixes channels of a known layout. Two cases need more:

- Channels of an unknown layout (a recorder's 60 tracks) are averaged.
- Two channels in opposite phase (one of them wired the wrong way round) cancel each other in a sum
  and leave silence, although a listener between two loudspeakers hears them. In that case the left
  channel is used for both; channels that cancel each other are equally loud.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

SAMPLE_RATE = 16_000
MAX_CHANNELS = 64
"""Largest number of channels that libav converts."""
# Two channels cancel each other if the power of their mix, relative to the louder channel, is below
# this: a loss of 20 dB. Unrelated channels lose 3 dB, sound in one channel only loses 6 dB.
CANCELLED = 0.01
# Power relative to full scale, -60 dB, below which there is only noise to cancel.
_AUDIBLE = 1e-6
_FULL_SCALE = {"u8": 128.0, "s16": 32_768.0, "s32": 2_147_483_648.0, "flt": 1.0, "dbl": 1.0}


class MonoResampler:
    """Resampler of consecutive audio frames of one format to mono.

    Attributes:
        averaged_channels: number of channels that were averaged, 0 if libav knew their layout.
        cancelled_s: seconds so far in which the left channel replaced two in opposite phase.
    """

    def __init__(self) -> None:
        self._to_mono = _resampler("s16", "mono", SAMPLE_RATE)
        self._to_packed: av.AudioResampler | None = None
        self.averaged_channels = 0
        self.cancelled_s = 0.0

    def resample(self, frame: "av.AudioFrame | None") -> list[NDArray[np.int16]]:
        """Resample the next frame, or flush with None; returns chunks of mono, each `[samples]`."""
        import av

        if frame is None:
            return _samples(self._to_mono.resample(None))
        frame.pts = None  # the resampler counts samples; its user decides where a run belongs
        if self._to_packed is None:
            audible = self._without_cancellation(frame)
            try:
                return _samples(self._to_mono.resample(audible))
            except av.ArgumentError:  # at the first frame of a run: libav cannot mix this layout
                self.averaged_channels = frame.layout.nb_channels
            self._to_packed = _resampler("flt", frame.layout.name, frame.sample_rate)
            self._to_mono = _resampler("s16", "mono", SAMPLE_RATE)
        pieces: list[NDArray[np.int16]] = []
        for packed in self._to_packed.resample(frame):
            channels = packed.to_ndarray().reshape(
                -1, self.averaged_channels
            )  # [samples, channels]
            pieces += _samples(self._to_mono.resample(_frame(channels.mean(axis=1)[None], frame)))
        return pieces

    def _without_cancellation(self, frame: "av.AudioFrame") -> "av.AudioFrame":
        """Return the frame, or a copy with the left channel twice if the two cancel each other."""
        import av

        kind = frame.format.name.removesuffix("p")
        if frame.layout.nb_channels != 2 or kind not in _FULL_SCALE:
            return frame
        stored = frame.to_ndarray()  # [2, samples] planar, [1, 2 x samples] packed
        pair = stored if frame.format.is_planar else stored.reshape(-1, 2).T
        left, right = pair.astype(np.float32)
        if kind == "u8":
            left, right = left - _FULL_SCALE["u8"], right - _FULL_SCALE["u8"]
        powers = float(left @ left), float(right @ right)
        mixed = (powers[0] + powers[1] + 2 * float(left @ right)) / 4
        audible = _AUDIBLE * len(left) * _FULL_SCALE[kind] ** 2
        if max(powers) <= audible or mixed >= CANCELLED * max(powers):
            return frame
        both = np.stack([pair[0]] * 2) if frame.format.is_planar else pair[0].repeat(2)[None]
        same = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(both), format=frame.format.name, layout=frame.layout.name
        )
        same.sample_rate = frame.sample_rate
        self.cancelled_s += frame.samples / frame.sample_rate
        return same


def _resampler(sample_format: str, layout: str, rate: int) -> "av.AudioResampler":
    import av

    return av.AudioResampler(format=sample_format, layout=layout, rate=rate)


def _frame(samples: NDArray[np.float32], like: "av.AudioFrame") -> "av.AudioFrame":
    import av

    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
    frame.sample_rate = like.sample_rate
    return frame


def _samples(frames: "list[av.AudioFrame]") -> list[NDArray[np.int16]]:
    return [frame.to_ndarray()[0] for frame in frames]
