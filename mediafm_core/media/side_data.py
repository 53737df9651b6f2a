"""Side data of decoded frames, such as display matrices and captions.

PyAV maps a frame's side data by kind and raises a ValueError for a kind that is newer than PyAV
(EXIF, Apple spatial video). This module removes such kinds from a copy of the frame.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av import VideoFrame

_KINDS_TRIED = 64  # libav 8.1 has 33


def side_data_of(frame: "VideoFrame") -> Mapping[str, Any]:
    """Return a frame's side data of the kinds that PyAV supports, by name (`DISPLAYMATRIX`)."""
    try:
        return frame.side_data
    except ValueError:
        return _of_known_kinds(frame).side_data


def _of_known_kinds(frame: "VideoFrame") -> "VideoFrame":
    """Return the same frame without the side data that PyAV does not support."""
    from av.filter import Graph
    from av.sidedata.sidedata import Type

    graph = Graph()
    last = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1),
    )
    known = {kind.value for kind in Type}
    for kind in range(_KINDS_TRIED):
        if kind not in known:
            delete = graph.add("sidedata", f"mode=delete:type={kind}")
            last.link_to(delete)
            last = delete
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()
