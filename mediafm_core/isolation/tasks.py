"""Tasks of a child: the functions that read untrusted files, by name.

Importing this module imports everything they need. The fork server does so once, for all children.
"""

import io
from functools import partial

import av.subtitles.subtitle
import av.video.reformatter  # noqa: F401 - imported with the first picture
import charset_normalizer  # noqa: F401 - imported with captions in an unknown encoding
import numpy as np
import pyarrow as pa
import pyarrow.compute
import soundfile  # noqa: F401 - imported with the first sound
from PIL import Image

from mediafm_core.clips.title_clips import read_clips
from mediafm_core.config.media_settings import KeyframeSettings
from mediafm_core.isolation.task_context import Task, TaskContext
from mediafm_core.isolation.wire import Message
from mediafm_core.isolation.wire_results import (
    SUMMARY,
    TIMED_TEXT,
    columns_of,
    keyframes_on_wire,
    summary_on_wire,
)
from mediafm_core.media.probe import MediaProbe, SubtitleStream, probe
from mediafm_core.media.subtitles import read_embedded, read_side_file
from mediafm_core.shots.decode import decode_title
from mediafm_core.shots.detector import Frames, Probabilities
from mediafm_core.titles.manifest import read_manifest

Image.preinit()  # its formats would be imported with the first keyframe
_IN_FLIGHT = 1  # batches of frames that may be sent before their probabilities have arrived


def manifest(context: TaskContext) -> bytes:
    """Read `title.json`."""
    with context.file() as file:
        found = read_manifest(file, context.arguments["title_id"])
    return found.model_dump_json().encode()


def probe_media(context: TaskContext) -> bytes:
    """Probe a media file."""
    with context.file() as file:
        found = probe(file, context.arguments["language"])
    return found.model_dump_json().encode()


def side_file(context: TaskContext) -> bytes:
    """Read a subtitle file."""
    with context.file() as file:
        found = read_side_file(file, **context.arguments)
    return TIMED_TEXT.dump_json(found)


def embedded(context: TaskContext) -> bytes:
    """Read a text track of a media file."""
    arguments = context.arguments
    with context.file() as file:
        found = read_embedded(
            file,
            SubtitleStream.model_validate(arguments["stream"]),
            arguments["origin_s"],
            partial(_report, context),
            arguments["title_language"],
        )
    return TIMED_TEXT.dump_json(found)


def clips(context: TaskContext) -> bytes:
    """Read `clips.csv`."""
    with context.file() as file:
        found = read_clips(file, **context.arguments)
    return columns_of(found)


def decode(context: TaskContext) -> bytes:
    """Decode a title; frames for the detector and keyframes are sent to the working process."""
    arguments = context.arguments

    def keep(batch: pa.RecordBatch) -> None:
        context.send(keyframes_on_wire(batch))

    with (
        context.file() as file,
        io.FileIO(context.descriptor(), "w+") as soundtrack,
    ):
        found = decode_title(
            file,
            arguments["title_id"],
            MediaProbe.model_validate(arguments["probe"]),
            _RemoteDetector(arguments["threshold"], context),
            KeyframeSettings.model_validate(arguments["keyframes"]),
            keep,
            soundtrack,
            partial(_report, context),
        )
    return SUMMARY.dump_json(summary_on_wire(found))


TASKS: dict[str, Task] = {
    "manifest": manifest,
    "probe": probe_media,
    "side_file": side_file,
    "embedded": embedded,
    "clips": clips,
    "decode": decode,
}


class _RemoteDetector:
    """A detector whose network runs in the working process.

    The child decodes further frames while the network computes, so that probabilities arrive later;
    the results do not depend on when they arrive.

    Args:
        threshold: of the detector.
        context: for messages to the working process.
    """

    def __init__(self, threshold: float, context: TaskContext) -> None:
        self.threshold = threshold
        self._context = context
        self._unanswered = 0

    def stream(self) -> "_RemoteDetector":
        """Begin a title; a child decodes only one."""
        return self

    def push(self, frames: Frames) -> Probabilities:
        """Send frames; returns the probabilities that have arrived."""
        return self._ask(Message("frames", {}, frames.tobytes()), _IN_FLIGHT)

    def finish(self) -> Probabilities:
        """End the title; returns all remaining probabilities."""
        return self._ask(Message("finish", {}), 0)

    def _ask(self, message: Message, left: int) -> Probabilities:
        self._context.send(message)
        self._unanswered += 1
        known = [np.empty(0, np.float32)]
        while self._unanswered > left:
            self._unanswered -= 1
            known.append(np.frombuffer(self._context.receive_answer().body, np.float32))
        return np.concatenate(known)


def _report(context: TaskContext, seconds: float) -> None:
    context.send(Message("progress", {"seconds": seconds}))
