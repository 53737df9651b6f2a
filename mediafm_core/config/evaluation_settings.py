"""Settings of evaluation by probes."""

from typing import ClassVar

from pydantic import Field, PositiveInt

from mediafm_core.config.section import Section


class EvaluationSettings(Section):
    """Probes on labels: how they are tested (`mediafm evaluate`)."""

    section: ClassVar[str] = "evaluation"

    folds: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="parts of the titles, each tested once; 5, or 10 for ranking, if not given",
    )
    seeds: PositiveInt = Field(
        1, le=1000, description="repetitions, each with folds, networks and probes of its own"
    )
    bootstrap_samples: PositiveInt = Field(
        1000, le=1_000_000, description="resamplings of the titles for the confidence intervals"
    )
    labels: tuple[str, ...] = Field(
        (),
        description="labels of clips, as a JSON list, that models of the catalogue are measured "
        "by; all if not given",
    )
    refuse_worse: bool = Field(
        False,
        description="release no model that is worse by these labels than the one that serves, "
        "beyond the interval of the difference",
    )
