"""Small files from real bug reports, ingested by the steps of the pipeline."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediafm_core.config.settings import load_settings
from mediafm_core.identity import Identity
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.platform import Platform


class OneShot:
    """A detector that finds no boundary, because these cases test files and not shots."""

    threshold = 0.5
    identity = Identity(name="one_shot", version="1", digest="0" * 16)

    def stream(self) -> "OneShot":
        """Begin a title."""
        return self

    def push(self, frames: np.ndarray) -> np.ndarray:
        """Return a probability of zero for each frame."""
        return np.zeros(len(frames), np.float32)

    def finish(self) -> np.ndarray:
        """Return no probabilities: all have been returned."""
        return np.zeros(0, np.float32)


@dataclass
class Ingested:
    """Outcome of a case.

    Attributes:
        reason: reason of the refusal; empty if the title was accepted.
        shots: facts about the asset `shots`: rows, frames, duration_s, ...
        sound: path of the soundtrack, None without sound.
        text: all text of the title.
        timed_text: facts about the asset `timed_text`: cues_read, source, ...
        checks: details of the checks of the assets, by name.
    """

    reason: str = ""
    shots: dict[str, Any] = field(default_factory=dict)
    sound: Path | None = None
    text: str = ""
    timed_text: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def ingest_case(shared_cases: Path, tmp_path: Path) -> Callable[..., Ingested]:
    """Return a function that ingests a case up to its timed text and returns the outcome."""

    def ingest(case: str, folder: str = "inbox") -> Ingested:
        inbox = tmp_path / "inbox"
        shutil.copytree(shared_cases / folder / case, inbox / case)
        platform = Platform(load_settings(inbox=inbox, store=tmp_path / "store", device="cpu"))
        platform.__dict__["detector"] = OneShot()
        checks: dict[str, str] = {}
        for assets in (("title",), DECODED, ("timed_text",)):
            outcomes = materialise(platform, assets, case)
            if outcomes[0].status == "quarantined":
                return Ingested(reason=outcomes[0].reason)
            checks |= {check.name: check.detail for each in outcomes for check in each.checks}
        comparison = TitleComparison(platform, case)
        shots, timed_text = map(comparison.record, ("shots", "timed_text"))
        assert shots is not None
        assert timed_text is not None
        texts = platform.store.read("timed_text", case)["text"].to_pylist()
        sound = platform.store.path("soundtrack", case, suffix=".flac")
        return Ingested(
            shots=shots.details,
            sound=sound if sound.exists() else None,
            text=" ".join(filter(None, texts)),
            timed_text=timed_text.details,
            checks=checks,
        )

    return ingest
