"""Settings of evaluation by probes."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from mediafm_core.config.section import Section


class EvaluationSettings(Section):
    """Evaluation by linear probes on labels (`mediafm evaluate`)."""

    section: ClassVar[str] = "evaluation"

    folds: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="parts of the titles, each tested once; 5, or 10 for ranking of clips, if not "
        "given",
    )
    seeds: PositiveInt = Field(
        1, le=1000, description="repetitions, each with folds, networks and probes of its own"
    )
    bootstrap_samples: PositiveInt = Field(
        1000, le=1_000_000, description="resamplings of the titles for the confidence intervals"
    )
    probe_titles: Literal["pretraining", "unseen"] = Field(
        "pretraining",
        description="titles that the probes of a table are trained on: those of the network's "
        "pretraining, or, within each fold, others that it has not seen",
    )
    budgets: tuple[Annotated[int, Field(ge=1, le=100_000)] | Literal["all"], ...] = Field(
        (),
        description="numbers of labelled titles that probes are trained on, as a JSON list such as "
        '`[2, 10, "all"]`, for a curve; none if not given',
    )
    budget_draws: PositiveInt = Field(
        5, le=1000, description="draws of titles for each label budget and seed"
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
