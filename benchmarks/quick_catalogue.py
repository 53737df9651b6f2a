"""A catalogue that is ingested within seconds: made titles, and encoders that are sums.

For commands that repeat an ingest many times and measure faults, not vectors. Everything else is
the real code: decoding, files, checks, training, publishing.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))

from make_media import SOUND_RATE, gradient, write_media
from simple_encoders import FrameTimes, Letters, MeanColour

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import MachineError, MediaFMError
from mediafm_core.identity import Identity
from mediafm_core.media.soundtrack import SAMPLE_RATE
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import FROM_MODEL, UP_TO_FUSION, depends_on
from mediafm_core.pipeline.materialise import DECODED, materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.platform import FailedTitle, Platform
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.releases.release import release
from mediafm_core.runtime.error_causes import Cause, fault_of, machine_sentence

_FRAMES_PER_SHOT = 40
_SMALL_NETWORK = {"hidden": 32, "layers": 1, "heads": 2, "feed_forward": 64}


def make_titles(inbox: Path, titles: int, seconds: float) -> Path:
    """Make title folders of moving gradients, noise and captions; returns the inbox."""
    for number in range(titles):
        folder = inbox / f"title-{number}"
        folder.mkdir(parents=True)
        frames = round(25 * seconds)
        level = 7 * number
        pictures = [gradient(160, 120, level + 2 * frame) for frame in range(frames)]
        noise = np.random.default_rng(number).normal(0, 0.1, round(seconds * SOUND_RATE))
        write_media(folder / "media.mp4", pictures, sound=noise)
        (folder / "captions.en.vtt").write_text(
            f"WEBVTT\n\n00:00.500 --> 00:02.000\na cab of title {number}\n"
        )
        manifest = {"title_id": folder.name, "name": folder.name, "kind": "short", "language": "en"}
        (folder / "title.json").write_text(json.dumps({**manifest, "synopsis": "abc"}))
    return inbox


class QuickPlatform(Platform):
    """A platform whose detector cuts every 40 frames and whose encoders sum up."""

    detector = property(lambda _self: _Cuts())  # type: ignore[assignment]
    video_encoder = property(lambda _self: _Pictures())  # type: ignore[assignment]
    audio_encoder = property(lambda _self: _Sound())  # type: ignore[assignment]
    text_encoder = property(lambda _self: _Text())  # type: ignore[assignment]


def settings_for(inbox: Path | str, store: Path | str, **more: object) -> Settings:
    """Return settings with a network that trains in a second."""
    training = {"steps": 4, "validate_every": 2}
    clips = {"proposed_s": 4.0}
    return load_settings(
        inbox=inbox, store=store, model=_SMALL_NETWORK, training=training, clips=clips, **more
    )


def ingest(platform: Platform) -> str:
    """Ingest as `mediafm run` does, without Dagster.

    Returns:
        The sentence that the run ends with; empty where everything is done.
    """
    try:
        platform.begin_run()
        work = select_titles(platform).work
        _run(platform, work, UP_TO_FUSION)
        if platform.serving_model is None:
            release(platform, train_model(platform).candidate)
        _run(platform, work, FROM_MODEL)
        present = [each.title_id for each in catalogue_states(platform) if each.state == "present"]
        publish_titles(platform, present)
    except MediaFMError as error:
        return str(error)
    except Exception as error:
        fault = fault_of(error)
        if fault.cause is not Cause.MACHINE:
            raise
        return machine_sentence(fault, platform.places)
    return " ".join(failed.reason for failed in platform.failed.values())


def _run(platform: Platform, title_ids: Sequence[str], assets: Sequence[str]) -> None:
    """Materialise one asset after the other, each for all titles, as a Dagster run does."""
    for asset in assets:
        if asset in DECODED[1:]:
            continue
        group = DECODED if asset == DECODED[0] else (asset,)
        for title_id in title_ids:
            failed = platform.failed.get(title_id)
            if failed and depends_on(group, failed.assets):
                continue
            try:
                materialise(platform, group, title_id)
            except MachineError:
                raise
            except MediaFMError as error:
                platform.failed[title_id] = FailedTitle(group, str(error))


class _Cuts:
    threshold = 0.5
    identity = Identity(name="cuts", version="1", digest="0")

    def __init__(self) -> None:
        self._seen = 0

    def stream(self) -> "_Cuts":
        return _Cuts()

    def push(self, frames: np.ndarray) -> np.ndarray:
        numbers = np.arange(self._seen, self._seen + len(frames))
        self._seen += len(frames)
        return (numbers % _FRAMES_PER_SHOT == _FRAMES_PER_SHOT - 1).astype(np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros(0, np.float32)


class _Pictures(MeanColour):
    identity = Identity(name="mean_colour", version="1", digest="0")

    def check(self) -> None:
        pass


class _Sound(FrameTimes):
    identity = Identity(name="frame_times", version="1", digest="0")
    sample_rate = SAMPLE_RATE
    window_s = 3.0

    def check(self) -> None:
        pass

    def encode(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            np.array([[1.0, part.mean()] for part in np.array_split(window, 10)], np.float32)
            for window in windows
        ]


class _Text(Letters):
    identity = Identity(name="letters", version="1", digest="0")

    def check(self) -> None:
        pass
