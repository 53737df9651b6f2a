"""What a catalogue lacks: the assets that are to be computed, and what is in the way."""

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
    """What is to be computed.

    Attributes:
        work: titles by the assets that each of them needs, in the order of the graph.
        waiting: titles whose contextual vectors wait for a model.
        obstacle: why they wait, and what to do; empty where none does.
    """

    work: dict[Assets, list[str]]
    waiting: list[str]
    obstacle: str = ""

    @property
    def titles(self) -> int:
        """How many titles need work that can be done."""
        return sum(map(len, self.work.values()))


def plan_refresh(platform: Platform, states: Iterable[TitleState]) -> RefreshPlan:
    """Find what is missing or stale.

    Contextual vectors are planned where a model serves that reads what the settings' encoders make.

    Args:
        platform: settings and store.
        states: titles of the catalogue as they are.

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
        # A folder that has changed tells what it changes only once it has been read.
        needed = set(SPECS) if "title" in lacking else set(lacking)
        doable = tuple(name for name in SPECS if name in needed & possible)
        if doable:
            work.setdefault(doable, []).append(state.title_id)
        elif obstacle:
            waiting.append(state.title_id)
    return RefreshPlan(work, waiting, obstacle)


def obstacle_to_contextualising(platform: Platform) -> str:
    """Why no contextual vectors can be computed, as a sentence; empty where they can.

    Raises:
        ConfigurationError: an encoder's package or weights are missing, or the model is damaged.
    """
    model = platform.serving_model
    if model is None:
        return "No model serves yet: train and release one."
    space = Candidate(model_folder(platform.store, model)).record.space
    difference = space.mismatch(configured_space(platform))
    if difference is None:
        return ""
    return (
        f"{model} does not fit the settings' encoders ({difference}): train a model on the "
        "embedded catalogue and release it."
    )


def is_about_model(assets: Assets) -> bool:
    """Whether only what depends on the model is to be computed: cheap, and many titles at once."""
    return set(assets) <= set(FROM_MODEL)
