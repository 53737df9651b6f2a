"""Descriptions of media without files."""

from mediafm_core.media.geometry import Orientation
from mediafm_core.media.probe import MediaProbe, VideoStream


def described(
    *,
    container: str = "mov",
    width: int = 64,
    height: int = 48,
    duration_s: float | None = 5.0,
    average_rate: float | None = 25.0,
) -> MediaProbe:
    """Describe a file with pictures only."""
    return MediaProbe(
        container=container,
        duration_s=duration_s,
        start_s=0.0,
        video=VideoStream(
            index=0,
            codec="h264",
            width=width,
            height=height,
            display_width=width,
            display_height=height,
            orientation=Orientation(transpose=False, flip_horizontal=False, flip_vertical=False),
            average_rate=average_rate,
            duration_s=duration_s,
        ),
        audio=None,
        subtitles=(),
    )
