"""Settings of clips."""

from typing import Literal

from pydantic import Field

from mediafm_core.config.section import Section


class ClipSettings(Section):
    """Clips of titles without `clips.csv`."""

    proposed_s: float = Field(
        30.0, gt=0, le=86_400, description="target length of a proposed clip, seconds"
    )
    proposed_at: Literal["scenes", "seconds"] = Field(
        "scenes",
        description="boundaries of proposed clips: `scenes`, likely scene starts if the length "
        "allows; `seconds`, by length alone",
    )
