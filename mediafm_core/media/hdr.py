"""Tone mapping of high dynamic range frames (PQ, HLG) to SDR, for display and for networks.

Displayed without conversion, HDR frames are grey and flat, because their code values stand for
other amounts of light. The steps: light by ITU-R BT.2100-2, highlights rolled off by the curve of
ITU-R BT.2390-10 (section 5.4.1), colours from BT.2020 to BT.709 by ITU-R BT.2087, code values for a
BT.1886 display.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Numbers = NDArray[np.float64]

PQ, HLG = 16, 18  # transfer characteristics of ITU-T H.273
PEAK_NITS = 1000.0
"""Luminance above which highlights clip, cd/m2: the peak of most mastering displays."""
WHITE_NITS = 203.0
"""Luminance of diffuse white in HDR (ITU-R BT.2408), cd/m2, which becomes full white."""

_BT709 = 1  # primaries of H.273
_CODES = 1 << 16
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_NITS = 10_000.0
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_GAMMA = 1.2  # of a display of 1000 nits
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
_DISPLAY_GAMMA = 2.4  # BT.1886


def is_hdr(frame: "av.VideoFrame") -> bool:
    """Return True if a frame is coded in PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


def to_sdr(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """Convert a PQ or HLG frame to standard dynamic range, RGB, `[height, width, 3]`.

    Args:
        frame: the frame, in its final size.
    """
    codes = frame.to_ndarray(
        format="rgb48le", src_colorspace="BT2020", dst_colorspace="BT2020", threads=1
    )
    light = (_pq_light() if frame.color_trc == PQ else _hlg_scene())[codes]  # [height, width, 3]
    if frame.color_trc == HLG:
        luminance = np.maximum(light @ _LUMINANCE, 1e-6)
        light *= PEAK_NITS * luminance[..., None] ** (_HLG_GAMMA - 1)
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    light *= np.interp(brightest, *_gains()).astype(np.float32)[..., None]
    if frame.color_primaries != _BT709:
        light = light @ _TO_BT709.T
    return _sdr_codes()[(np.clip(light, 0, 1) * (_CODES - 1)).astype(np.uint16)]


def _pq_code(nits: Numbers) -> Numbers:
    power = (nits / _PQ_NITS) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _pq_nits(code: Numbers) -> Numbers:
    power = code ** (1 / _M2)
    return _PQ_NITS * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


@lru_cache(maxsize=1)
def _gains() -> tuple[Numbers, Numbers]:
    """Return luminances in nits, and for each the factor to the range 0 to 1 of an SDR display."""
    peak, white = _pq_code(np.array([PEAK_NITS, WHITE_NITS]))
    largest = white / peak
    knee = 1.5 * largest - 0.5
    nits = np.geomspace(0.1, _PQ_NITS, 2048)
    code = np.minimum(_pq_code(nits) / peak, 1)
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * largest
    )
    shown = _pq_nits(np.where(code < knee, code, spline) * peak)
    return nits, shown / nits / WHITE_NITS


@lru_cache(maxsize=1)
def _sdr_codes() -> NDArray[np.uint8]:
    """Return the code values of a BT.1886 display for light from 0 to 1 in 16 bits, `[65536]`."""
    return np.round(np.linspace(0, 1, _CODES) ** (1 / _DISPLAY_GAMMA) * 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _pq_light() -> NDArray[np.float32]:
    """Return the luminance in nits of each 16-bit PQ code value, `[65536]`."""
    return _pq_nits(np.arange(_CODES, dtype=np.float64) / (_CODES - 1)).astype(np.float32)


@lru_cache(maxsize=1)
def _hlg_scene() -> NDArray[np.float32]:
    """Return the scene light, 0 to 1, of each 16-bit HLG code value, `[65536]`."""
    code = np.arange(_CODES, dtype=np.float64) / (_CODES - 1)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _C) / _A) + _B) / 12)
    return scene.astype(np.float32)
