"""Checks of `mediafm doctor`: machine, settings, weights, disk space and catalogue.

Every check is quick, loads no network and writes nothing but a probe file in the store. The message
of a fault includes its remedy. A check that fails does not keep the others from running.
"""

import os
import platform as machine
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError, MediaFMError

if TYPE_CHECKING:
    from mediafm_core.encoders.base import Encoder

Level = Literal["ok", "warning", "error"]

_DECODERS = ("h264", "hevc", "vp9", "av1", "aac", "opus", "mp3", "ac3")
_FREE_BYTES = 5 << 30  # less may soon be too little for a film's keyframes and soundtrack
_MINIMUM_PYTHON = (3, 11)


@dataclass(frozen=True)
class DiagnosticFinding:
    """Outcome of a check; `message` has the remedy unless the level is "ok"."""

    check: str
    level: Level
    message: str


def examine(settings: Settings) -> Iterator[DiagnosticFinding]:
    """Run all checks, in the order in which their faults are best fixed."""
    checks: dict[str, Callable[[Settings], Iterator[tuple[Level, str]]]] = {
        "python": _python,
        "decoders": _decoders,
        "isolation": _isolation,
        "device": _device,
        "shots": _shots,
        "encoders": _encoders,
        "store": _store,
        "inbox": _inbox,
        "model": _model,
        "features": _features,
    }
    for name, check in checks.items():
        try:
            for level, message in check(settings):
                yield DiagnosticFinding(name, level, message)
        except MediaFMError as error:
            yield DiagnosticFinding(name, "error", str(error))


def settings_in_force(settings: Settings) -> dict[str, str]:
    """Return every setting by its name, as text; secrets are masked."""
    return dict(_flattened("", settings.model_dump(mode="json")))


def _python(_settings: Settings) -> Iterator[tuple[Level, str]]:
    version = machine.python_version()
    if sys.version_info < _MINIMUM_PYTHON:
        wanted = ".".join(map(str, _MINIMUM_PYTHON))
        yield "error", f"Python {version} is too old: install {wanted} or later."
    else:
        yield "ok", f"Python {version} on {machine.system()} {machine.machine()}"


def _decoders(_settings: Settings) -> Iterator[tuple[Level, str]]:
    import av
    from av.codec.codec import UnknownCodecError

    missing = []
    for name in _DECODERS:
        try:
            av.Codec(name, "r")
        except UnknownCodecError:
            missing.append(name)
    if missing:
        yield (
            "error",
            f"PyAV {av.__version__} cannot decode {', '.join(missing)}: reinstall it from its "
            "binary wheel (`pip install --force-reinstall --only-binary av av`).",
        )
    else:
        yield "ok", f"PyAV {av.__version__} decodes {', '.join(_DECODERS)}"


def _isolation(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.isolation.child_process import ChildProcess
    from mediafm_core.isolation.limits import limits_for

    with ChildProcess(limits_for(settings.limits, 0), "nothing", "starting") as child:
        missing = child.missing
    if missing:
        yield (
            "warning",
            "media is read in processes with limits, but this system cannot take these rights from "
            f"them: {', '.join(missing)}. Ingest untrusted titles on Linux 5.13 or later.",
        )
    else:
        yield (
            "ok",
            "media is read in processes with limits, without access to the network or other files",
        )


def _device(settings: Settings) -> Iterator[tuple[Level, str]]:
    import torch

    from mediafm_core.runtime.device import resolve_device
    from mediafm_core.runtime.precision import vector_precision

    device = resolve_device(settings)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "the processor"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = settings.threads or cores
    yield (
        "ok",
        f"encoders run on {name} ({device}) in {vector_precision(settings)}, {threads} threads, "
        f"{cores} cores",
    )


def _shots(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.shots.transnetv2 import TransNetV2Detector

    detector = TransNetV2Detector(settings)
    detector.check()
    yield "ok", f"shots are detected by {detector.identity}"


def _encoders(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.encoders import profiles

    builders: dict[str, Callable[[Settings], Encoder]] = {
        "video": profiles.video_encoder,
        "audio": profiles.audio_encoder,
        "text": profiles.text_encoder,
    }
    for name, build in builders.items():
        try:
            encoder = build(settings)
            encoder.check()
            yield "ok", f"{name}: {encoder.identity}"
        except ConfigurationError as error:
            yield "error", f"{name}: {error}"


def _store(settings: Settings) -> Iterator[tuple[Level, str]]:
    store = settings.require_store()
    if isinstance(store, S3Location):
        yield from _store_in_s3(settings)
        return
    place = next(path for path in (store, *store.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield "error", f"{place} cannot be written ({error.strerror}): fix its permissions."
        return
    staging = store / ".staging"
    if staging.exists() and staging.stat().st_dev != store.stat().st_dev:
        yield (
            "error",
            f"{staging} is on another file system than {store}: files cannot be moved into place "
            "atomically; remove the mount.",
        )
    free = shutil.disk_usage(place).free
    if free < _FREE_BYTES:
        yield (
            "warning",
            f"{_gibibytes(free)} are free at {place}: free at least {_gibibytes(_FREE_BYTES)}.",
        )
    else:
        yield "ok", f"{store} can be written, {_gibibytes(free)} are free"


def _store_in_s3(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.store.open_store import open_store

    files = open_store(settings).files
    with files.staging() as folder:
        prepared = folder / "probe"
        prepared.write_bytes(b"written by mediafm doctor")
        files.put(prepared, ".probe")
    files.remove(".probe")
    free = shutil.disk_usage(files.root).free
    if free < _FREE_BYTES:
        yield (
            "warning",
            f"{_gibibytes(free)} are free at {files.root} for the cache and work in progress: free "
            f"at least {_gibibytes(_FREE_BYTES)}, or set s3.cache.",
        )
    else:
        yield (
            "ok",
            f"{files.location} can be written, {_gibibytes(free)} are free at {files.root} for "
            "the cache",
        )


def _inbox(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.titles.inbox import open_inbox

    place = settings.require_inbox()
    if isinstance(place, Path) and not os.access(place, os.R_OK | os.X_OK):
        yield "error", f"The inbox {place} cannot be read: fix its permissions."
        return
    inbox = open_inbox(settings)
    folders = list(inbox.scan())
    complete = sum(folder.is_complete for folder in folders)
    waiting = len(folders) - complete
    if not folders:
        yield "warning", f"The inbox {inbox.location} has no title folder: add one."
    elif waiting:
        yield (
            "warning",
            f"{inbox.location}: {complete} titles complete, {waiting} waiting for their "
            "title.json: add it when the folder is complete.",
        )
    else:
        yield "ok", f"{inbox.location}: {complete} titles complete"


def _model(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.pipeline.platform import Platform
    from mediafm_core.pipeline.releases.candidates import OutsideCandidate
    from mediafm_core.pipeline.releases.release import mismatch_of
    from mediafm_core.pipeline.serving import release_history
    from mediafm_core.store.model_store import model_folder

    platform = Platform(settings)
    released, named = platform.serving_model, settings.serving_model
    if named is not None:
        candidate = OutsideCandidate(named)
        if refusal := mismatch_of(platform, candidate, compare_titles=False):
            yield "error", refusal
            return
        if candidate.identity != released:
            yield "ok", f"{candidate.identity} is released by the next run: serving_model names it"
            return
    if released is None:
        yield "warning", "No model is released yet: `mediafm run` or `mediafm train` trains one."
    elif not model_folder(platform.store, released).is_dir():
        yield (
            "error",
            f"The released model {released} is not in {platform.store.models}: copy it back or "
            "release another one.",
        )
    else:
        release = release_history(platform.store)[-1]
        by = f" by {release.released_by}" if release.released_by else ""
        yield "ok", f"{released} is released, on {release.released_at:%Y-%m-%d}{by}"


def _features(settings: Settings) -> Iterator[tuple[Level, str]]:
    from mediafm_core.store.features import catalogue
    from mediafm_core.store.open_store import open_store
    from mediafm_core.store.store import FEATURES_FILE

    store = open_store(settings)
    found = catalogue(store)
    name = f"{store.location}/{FEATURES_FILE}"
    if found is None:
        yield "warning", f"{name} does not exist yet: `mediafm run` creates it."
    else:
        yield "ok", f"{name} opens: {len(found.versions)} titles of {found.model}"


def _flattened(prefix: str, values: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", "" if value is None else str(value)


def _gibibytes(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
