"""Plan of a refresh: missing and stale assets by title, and the obstacle to computing them."""

from collections.abc import Iterable
from dataclasses import dataclass

from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, UP_TO_FUSION
from mediafm_core.pipeline.planning.asset_states import TitleState
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import Candidate
from mediafm_core.pipeline.releases.latest_space import configured_space
from mediafm_core.store.model_store import model_folder

Assets = tuple[str, ...]


@dataclass(frozen=True)
class RefreshPlan:
    """Assets to compute.

    Attributes:
        work: titles by the assets that each of them needs, in the order of the graph.
        waiting: titles whose contextual vectors wait for a model.
        obstacle: the reason for that, with the remedy; empty where no title waits.
    """

    work: dict[Assets, list[str]]
    waiting: list[str]
    obstacle: str = ""

    @property
    def titles(self) -> int:
        """Number of titles with assets that can be computed."""
        return sum(map(len, self.work.values()))


def plan_refresh(platform: Platform, states: Iterable[TitleState]) -> RefreshPlan:
    """Find the missing and stale assets.

    Contextual vectors are planned where the serving model reads the settings' fused space.

    Args:
        platform: settings and store.
        states: of the titles of the catalogue.

    Raises:
        ConfigurationError: an encoder's package or weights are missing, or the model is damaged.
    """
    obstacle = obstacle_to_contextualising(platform)
    possible = set(UP_TO_FUSION if obstacle else SPECS)
    work: dict[Assets, list[str]] = {}
    waiting = []
    for state in states:
        if state.state not in ("missing", "stale"):
            continue
        lacking = [name for name, found in state.assets.items() if found != "present"]
        # Which assets a changed folder makes stale is known only once it has been read.
        needed = set(SPECS) if "title" in lacking else set(lacking)
        doable = tuple(name for name in SPECS if name in needed & possible)
        if doable:
            work.setdefault(doable, []).append(state.title_id)
        elif obstacle:
            waiting.append(state.title_id)
    return RefreshPlan(work, waiting, obstacle)


def obstacle_to_contextualising(platform: Platform) -> str:
    """Return the reason why no contextual vectors can be computed; empty where they can.

    Raises:
        ConfigurationError: an encoder's package or weights are missing, or the model is damaged.
    """
    model = platform.serving_model
    if model is None and platform.settings.serving_model is not None:
        return ""  # a run releases it before its work, or fails with the reason
    if model is None:
        return "No model serves yet: train and release one."
    space = Candidate(model_folder(platform.store, model)).record.space
    difference = space.mismatch(configured_space(platform))
    if difference is None:
        return ""
    return (
        f"{model} is not compatible with the settings' encoders ({difference}): train a model on "
        "the embedded catalogue and release it."
    )


def is_about_model(assets: Assets) -> bool:
    """Return True if all assets depend on the model: they are cheap, for many titles at once."""
    return set(assets) <= set(FROM_MODEL)
