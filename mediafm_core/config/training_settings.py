"""Settings of training: objective, optimisation, checkpoints."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from mediafm_core.config.location import LocalPath
from mediafm_core.config.section import Fraction, PrecisionSetting, Section


class ObjectiveSettings(Section):
    """Objective of training: past against future and scene boundaries, or masked shots."""

    section: ClassVar[str] = "objective"

    mask_ratio: Fraction = Field(
        0.2, description="bidirectional: fraction of the shots replaced by [MASK]"
    )
    past_future_weight: float = Field(
        1.0,
        ge=0,
        le=1e3,
        description="two_directions: weight of the loss of past against future (InfoNCE)",
    )
    past_future_temperature: float = Field(
        0.1, gt=0, le=1e3, description="two_directions: temperature of that loss"
    )
    boundary_weight: float = Field(
        1.0,
        ge=0,
        le=1e3,
        description="two_directions: weight of the loss of scene boundaries, on pseudo-labels",
    )


class TrainingSettings(Section):
    """Training: the same on a laptop's CPU and on several GPUs."""

    section: ClassVar[str] = "training"

    steps: PositiveInt | None = Field(
        None,
        le=100_000_000,
        description="optimiser steps; by default 20 passes over the shots of the catalogue, at "
        "least 20 and at most 300 steps",
    )
    titles_per_batch: PositiveInt = Field(
        8,
        le=65_536,
        description="sequences in one step, over all processes and accumulated batches",
    )
    crop_shots: PositiveInt = Field(
        96, le=65_536, description="longest run of shots of one title in a training sequence"
    )
    optimiser: Literal["muon", "adamw"] = Field(
        "adamw",
        description="optimiser of the hidden matrices; AdamW updates all other parameters",
    )
    muon_learning_rate: float = Field(1e-3, gt=0, le=10, description="for the hidden matrices")
    adamw_learning_rate: float = Field(
        6e-4, gt=0, le=10, description="for every parameter that Muon does not update"
    )
    weight_decay: float = Field(0.1, ge=0, le=10, description="for matrices only")
    warmup_ratio: float = Field(
        0.1, ge=0, lt=1, description="fraction of the steps in which the learning rates rise"
    )
    clip_norm: float = Field(1.0, gt=0, le=1e6, description="largest norm of the gradient")
    validation_fraction: float = Field(
        0.2, ge=0, lt=1, description="fraction of the titles held out for validation"
    )
    validate_every: PositiveInt = Field(20, le=100_000_000, description="steps between validations")
    patience: int = Field(
        10,
        ge=0,
        le=1_000_000,
        description="validations without improvement after which training stops; the best weights "
        "are kept. 0, or no titles held out: all steps, the last weights",
    )
    precision: PrecisionSetting = Field(
        "auto",
        description="precision of training; auto: bfloat16 on GPUs that support it "
        "natively, else float32",
    )
    compile: bool = Field(
        False, description="compile the network first (needs a C++ compiler); pays in long training"
    )
    accumulation: PositiveInt = Field(
        1,
        le=65_536,
        description="batches per step whose gradients are accumulated, to save memory",
    )
    processes: PositiveInt = Field(1, le=64, description="processes on this machine, one per GPU")
    checkpoint_every: PositiveInt = Field(
        100,
        le=100_000_000,
        description="steps between checkpoints, from which an interrupted training resumes",
    )
    start_from: LocalPath | None = Field(
        None, description="folder of a model, or of a checkpoint, whose weights to start from"
    )
    seed: int = Field(
        0, ge=0, lt=2**63, description="the same seed gives the same weights on the same machine"
    )

    @property
    def planned_steps(self) -> int:
        """Number of steps where it is set, as it is from the start of a training on.

        Raises:
            ValueError: it depends on a catalogue.
        """
        if self.steps is None:
            raise ValueError("The number of steps depends on the catalogue.")
        return self.steps
