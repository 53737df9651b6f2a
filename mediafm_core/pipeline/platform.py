"""Resources of a run: settings, store, inbox, and each network loaded at most once."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mediafm_core.config.settings import Settings
from mediafm_core.errors import StoreError
from mediafm_core.isolation.readers import TitleReader
from mediafm_core.model.stored_model import StoredModel
from mediafm_core.pipeline.serving import serving_model
from mediafm_core.runtime.error_causes import temporary_folder
from mediafm_core.store.model_store import model_folder
from mediafm_core.store.open_store import open_store
from mediafm_core.store.version_index import VersionIndex
from mediafm_core.titles.inbox import Inbox, open_inbox

if TYPE_CHECKING:
    from mediafm_core.encoders.base import AudioEncoder, TextEncoder, VideoEncoder
    from mediafm_core.media.probe import MediaProbe
    from mediafm_core.model.saved_model import LoadedModel
    from mediafm_core.model.training.progress_events import Observer
    from mediafm_core.shots.detector import ShotDetector

Progress = Callable[[str, str, float], None]
"""Callback of the work on a title: its id, the asset and the share of it that is done.

A share of 0: the computation of the asset begins. A share of 1: the asset is finished, which means
computed, found up to date, or given up with its title.
"""


class FailedTitle(NamedTuple):
    """Assets of a title whose work has failed in this run, and the reason."""

    assets: tuple[str, ...]
    reason: str


class Platform:
    """Dependencies of every computation, injected as one object.

    Encoders, the detector and the serving network are built from the settings when first used and
    kept for the life of this object; building one does not load its weights.

    Args:
        settings: all settings; the store must be named, the inbox where media is read.
        progress: called with the share of each asset of a title that is done.
        s3_client: of S3; None makes one from the settings if it is needed.
    """

    def __init__(
        self, settings: Settings, progress: Progress | None = None, s3_client: Any = None
    ) -> None:
        self.settings = settings
        self.store = open_store(settings, s3_client)
        self._s3_client = s3_client
        self.progress: Progress = progress or (lambda _title_id, _asset, _share: None)
        self.training_progress: Observer = lambda _event: None  # called with a training's events
        self._served: StoredModel | None = None
        self._one_model: tuple[str | None] | None = None
        self.looks: dict[tuple[str, str], float] = {}  # first look at folders with future dates
        self.lifted: set[str] = set()  # titles whose quarantine was lifted to try them again
        self.begin_run()

    def begin_run(self) -> None:
        """Begin a run, which tries titles again that have failed in an earlier one."""
        self.run_id = uuid.uuid4().hex
        self.failed: dict[str, FailedTitle] = {}
        self.stopped_by = ""  # the machine error that has stopped this run

    @property
    def places(self) -> list[Path]:
        """Local folders that work writes to."""
        return [self.store.root, *self.inbox.places, temporary_folder()]

    @contextmanager
    def also_reporting(self, progress: Progress) -> Iterator[None]:
        """Also call another callback while the block runs."""
        before = self.progress

        def both(title_id: str, asset: str, share: float) -> None:
            before(title_id, asset, share)
            progress(title_id, asset, share)

        self.progress = both
        try:
            yield
        finally:
            self.progress = before

    @property
    def inbox(self) -> Inbox:
        """The inbox; a `ConfigurationError` where none is named or it does not exist."""
        return open_inbox(self.settings, self._s3_client)

    def reader(
        self,
        size_bytes: int | None = None,
        probe: "MediaProbe | None" = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> TitleReader:
        """Make a child process that reads files of one title, see `TitleReader`."""
        return TitleReader(self.settings.limits, size_bytes, probe, waiting)

    @cached_property
    def version_index(self) -> VersionIndex:
        """The recorded versions of all titles of the store."""
        return VersionIndex(self.store)

    @cached_property
    def detector(self) -> "ShotDetector":
        """The shot boundary detector."""
        from mediafm_core.shots.transnetv2 import TransNetV2Detector

        return TransNetV2Detector(self.settings)

    @cached_property
    def video_encoder(self) -> "VideoEncoder":
        """The encoder of keyframes."""
        from mediafm_core.encoders import profiles

        return profiles.video_encoder(self.settings)

    @cached_property
    def audio_encoder(self) -> "AudioEncoder":
        """The encoder of the soundtrack."""
        from mediafm_core.encoders import profiles

        return profiles.audio_encoder(self.settings)

    @cached_property
    def text_encoder(self) -> "TextEncoder":
        """The encoder of timed text and of the title's metadata."""
        from mediafm_core.encoders import profiles

        return profiles.text_encoder(self.settings)

    @property
    def serving_model(self) -> str | None:
        """Identity of the serving model, also the name of its folders; None before a release."""
        return self._one_model[0] if self._one_model else serving_model(self.store)

    @contextmanager
    def one_model(self) -> Iterator[None]:
        """Pin the serving model while the block runs: a release meanwhile has no effect on it.

        A block within another one keeps the model of the outer block.
        """
        before = self._one_model
        self._one_model = before or (serving_model(self.store),)
        try:
            yield
        finally:
            self._one_model = before

    @property
    def network(self) -> "LoadedModel":
        """The serving model, ready to run; another one is loaded only after another release.

        Raises:
            StoreError: no model has been released.
            ConfigurationError: the released model's folder is damaged.
        """
        from mediafm_core.runtime.device import resolve_device

        released = self.serving_model
        if released is None:
            raise StoreError(f"No model is released in {self.store.location}: run `mediafm train`.")
        if self._served is None or self._served.identity != released:
            self._served = StoredModel(model_folder(self.store, released))
        return self._served.load(resolve_device(self.settings))

    def keep_network(self, released: StoredModel) -> None:
        """Keep the network of a model that was loaded to be released, for `network`."""
        self._served = released
