"""Fusion of the modalities of a shot.

In: the video, audio and text vectors of shots. Out: one fused vector per shot, and the fused space
that says which encoder fills which columns.
"""

from typing import Any

from mediafm_core.renamed import renamed_attribute


def __getattr__(name: str) -> Any:
    return renamed_attribute(__name__, name)
