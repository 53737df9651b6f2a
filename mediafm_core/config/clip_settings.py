"""Settings of clips."""

from pydantic import Field

from mediafm_core.config.section import Section


class ClipSettings(Section):
    """Clips of titles without `clips.csv`."""

    proposed_s: float = Field(
        30.0, gt=0, le=86_400, description="target length of a proposed clip, seconds"
    )
