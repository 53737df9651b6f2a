"""Settings of evaluation by probes."""

from typing import ClassVar

from pydantic import Field, PositiveInt

from mediafm_core.config.section import Section


class EvaluationSettings(Section):
    """Evaluation by linear probes on labels (`mediafm evaluate`)."""

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
        description="labels of clips, as a JSON list, on which models of the catalogue are "
        "evaluated; all if not given",
    )
    refuse_worse: bool = Field(
        False,
        description="refuse to release a model that is worse on these labels than the serving one, "
        "beyond the confidence interval of the difference",
    )
