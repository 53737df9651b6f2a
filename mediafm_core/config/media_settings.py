"""Settings of what is read from a title: shots, keyframes, and the limits of reading."""

from pydantic import Field, PositiveInt

from mediafm_core.config.section import Fraction, Section


class ShotSettings(Section):
    """Shot boundary detection."""

    threshold: Fraction = Field(0.5, description="probability above which a frame is a transition")
    window_frames: int = Field(
        500, ge=100, le=10_000, description="frames per TransNetV2 window, of which 50 are overlap"
    )


class KeyframeSettings(Section):
    """Keyframes of each shot: input of the video encoder, and pictures for people."""

    per_shot: PositiveInt = Field(3, le=100, description="frames at uniform intervals in each shot")
    short_side: int = Field(
        288, ge=64, le=4320, description="pixels of the shorter side; never scaled up"
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="of the JPEG pictures in the store")


class LimitSettings(Section):
    """Limits of the child processes that read untrusted files: media, captions, manifests, clips.

    They follow from size, length and picture size of the input, with a wide margin; these move
    them for unusual films and machines.
    """

    no_progress_s: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="wall time without progress after which reading a file is stopped, seconds",
    )
    memory_mb: int = Field(
        2048,
        ge=256,
        le=1_048_576,
        description="memory for reading a file, MiB; pictures beyond get more by their size",
    )
    cpu_factor: float = Field(
        1.0,
        ge=0.1,
        le=1000.0,
        description="multiplies the processor time that reading a file may take",
    )
