"""Readers of untrusted files, run in a child: same arguments, results and errors as the originals.

Each step of a title creates one `TitleReader`, which has one child. The child is forked at the
first call, with limits derived from the size and description of the file.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from mediafm_core.config.media_settings import KeyframeSettings, LimitSettings
from mediafm_core.isolation.child_process import ChildProcess, ChildUsage, next_events
from mediafm_core.isolation.fork_server_handle import TASKS
from mediafm_core.isolation.limits import Limits, limits_for
from mediafm_core.isolation.wire import Message, WireError
from mediafm_core.isolation.wire_errors import deserialize_error
from mediafm_core.titles.manifest import Manifest
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe, SubtitleStream
    from mediafm_core.media.subtitles import TimedText
    from mediafm_core.shots.decode import DecodeSummary
    from mediafm_core.shots.detector import ShotDetector

Handler = Callable[[Message], Message | None]
"""Handles a message of a running child; returns the reply, if the child waits for one."""


class TitleReader:
    """Reader of one title's files in a child process. Use as a context manager.

    Args:
        settings: limits.
        size_bytes: of the largest file to be read; by default that of the first one.
        probe: its description, if it is to be decoded.
        waiting: called about twice a second while the child runs; an exception from it ends the
            child.
        tasks: name of the module whose `TASKS` the child can run.

    Attributes:
        used: resources that the child has used, set at the end of the block.
    """

    def __init__(
        self,
        settings: LimitSettings,
        size_bytes: int | None = None,
        probe: "MediaProbe | None" = None,
        waiting: Callable[[], None] = lambda: None,
        tasks: str = TASKS,
    ) -> None:
        self._settings = settings
        self._size_bytes = size_bytes
        self._probe = probe
        self._waiting = waiting
        self._tasks = tasks
        self._child: ChildProcess | None = None
        self.used = ChildUsage(0.0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def missing(self) -> tuple[str, ...]:
        """Restrictions of the child that this system does not support; empty before it runs."""
        return self._child.missing if self._child else ()

    def manifest(self, file: TitleFile, title_id: str) -> Manifest:
        """Read `title.json`; see `read_manifest`."""
        data = self.run("manifest", "reading it", [file], {"title_id": title_id})
        from mediafm_core.isolation.wire_results import parsing

        with self._checked(), parsing():
            found = Manifest.model_validate_json(data)
            if found.title_id != title_id:
                raise WireError(found.title_id)
            return found

    def probe(self, file: TitleFile, language: str | None = None) -> "MediaProbe":
        """Probe a media file; see `mediafm_core.media.probe.probe`."""
        from mediafm_core.isolation.wire_results import parsing
        from mediafm_core.media.probe import MediaProbe

        data = self.run("probe", "probing", [file], {"language": language})
        with self._checked(), parsing():
            return MediaProbe.model_validate_json(data)

    def side_file(
        self, file: TitleFile, language: str | None = None, title_language: str | None = None
    ) -> "TimedText":
        """Read a subtitle file; see `read_side_file`."""
        from mediafm_core.isolation.wire_results import timed_text_from_wire

        arguments = {"language": language, "title_language": title_language}
        data = self.run("side_file", "reading captions", [file], arguments)
        with self._checked():
            return timed_text_from_wire(data)

    def embedded(
        self,
        file: TitleFile,
        stream: "SubtitleStream",
        origin_s: float,
        progress: Callable[[float], None] = lambda _seconds: None,
        title_language: str | None = None,
    ) -> "TimedText":
        """Read an embedded text track; see `read_embedded`."""
        from mediafm_core.isolation.wire_results import timed_text_from_wire

        arguments = {
            "stream": stream.model_dump(mode="json"),
            "origin_s": origin_s,
            "title_language": title_language,
        }
        data = self.run(
            "embedded", "reading captions", [file], arguments, _progress_handler(progress)
        )
        with self._checked():
            return timed_text_from_wire(data)

    def clips(
        self, file: TitleFile, title_id: str, duration_s: float, language: str | None = None
    ) -> pa.Table:
        """Read `clips.csv`; see `read_clips`."""
        from mediafm_core.isolation.wire_results import clips_from_wire

        arguments = {"title_id": title_id, "duration_s": duration_s, "language": language}
        data = self.run("clips", "reading clips", [file], arguments)
        with self._checked():
            return clips_from_wire(data, title_id, duration_s)

    def decode(
        self,
        file: TitleFile,
        title_id: str,
        probe: "MediaProbe",
        detector: "ShotDetector",
        settings: KeyframeSettings,
        keyframe_sink: Callable[[pa.RecordBatch], None],
        soundtrack_path: Path,
        progress: Callable[[float], None] = lambda _seconds: None,
    ) -> "DecodeSummary":
        """Decode a title; see `decode_title`. The detector's network runs in this process.

        The CPU seconds of `detect` include those of this process.
        """
        from mediafm_core.isolation.wire_results import summary_from_wire

        parent = _ParentDecode(self._limits(file), detector, title_id, keyframe_sink, progress)
        arguments = {
            "title_id": title_id,
            "probe": probe.model_dump(mode="json"),
            "threshold": detector.threshold,
            "keyframes": settings.model_dump(mode="json"),
        }
        with soundtrack_path.open("w+b", buffering=0) as soundtrack:
            data = self.run(
                "decode", "decoding", [file], arguments, parent.handle, [soundtrack.fileno()]
            )
        with self._checked():
            summary = summary_from_wire(data, title_id, parent.frames, parent.keyframes)
        if summary.soundtrack_s == 0:
            soundtrack_path.unlink()
        summary.cpu_seconds["detect"] += parent.detect_cpu_s
        return summary

    def run(
        self,
        task: str,
        activity: str,
        files: Sequence[TitleFile],
        arguments: dict[str, Any],
        handle: Handler = lambda _message: None,
        writable: Sequence[int] = (),
    ) -> bytes:
        """Run a task in the child; returns its result, JSON that the caller must check.

        Args:
            task: its name.
            activity: the work, for error messages.
            files: open files for it to read; errors name the first one.
            arguments: of the task, to be encoded as JSON.
            handle: called with each message before the result.
            writable: descriptors of files that it may write to.

        Raises:
            TitleError: from the task; or the child has crashed, made no progress, exceeded a limit
                or sent an invalid message.
            MachineError: no child can be started, or the disk does not respond.
        """
        child = self._child_for(files[0], activity)
        child.start_task(task, files, json.dumps(arguments).encode(), writable, activity)
        while True:
            for _, message, error in next_events([child], self._waiting):
                if message is None:
                    raise error or AssertionError
                match message.kind:
                    case "result":
                        return message.body
                    case "limit_exceeded":
                        raise child.limit_exceeded(str(message.head.get("limit")))
                    case "error":
                        raise deserialize_error(message.head) or child.invalid_result(
                            WireError("error")
                        )
                with self._checked():
                    answer = handle(message)
                if answer is not None:
                    child.reply(answer)

    def _child_for(self, file: TitleFile, activity: str) -> ChildProcess:
        """Return the current child, or a new one if there is none or its limits are too low."""
        limits = self._limits(file)
        if self._child is not None and self._child.limits.cpu_s < limits.cpu_s:
            self._end()
        if self._child is None:
            self._child = ChildProcess(limits, str(file), activity, self._tasks)
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()
            cpu_s, peak_bytes = child.used
            self.used = ChildUsage(self.used.cpu_s + cpu_s, max(self.used.peak_bytes, peak_bytes))

    def _limits(self, file: TitleFile) -> Limits:
        size_bytes = file.size if self._size_bytes is None else self._size_bytes
        return limits_for(self._settings, size_bytes, self._probe)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Convert a `WireError` about the child's messages into a `TitleError`."""
        try:
            yield
        except WireError as error:
            if self._child is None:
                raise
            raise self._child.invalid_result(error) from None


class _ParentDecode:
    """The parent's part of a decode: runs the detector and passes keyframes to their sink.

    Attributes:
        frames: number of video frames that the child has sent.
        keyframes: number of keyframes that it has sent.
        detect_cpu_s: CPU seconds of detection in this process.
    """

    def __init__(
        self,
        limits: Limits,
        detector: "ShotDetector",
        title_id: str,
        sink: Callable[[pa.RecordBatch], None],
        progress: Callable[[float], None],
    ) -> None:
        self._limits = limits
        self._stream = detector.stream()
        self._title_id = title_id
        self._sink = sink
        self._progress = progress
        self._picture_bytes = 0
        self.frames = self.keyframes = 0
        self.detect_cpu_s = 0.0

    def handle(self, message: Message) -> Message | None:
        """Handle a message of the child.

        Raises:
            WireError: it is invalid.
        """
        from mediafm_core.isolation.wire_results import keyframes_from_wire

        match message.kind:
            case "frames" | "finish":
                return Message("probabilities", {}, self._probabilities(message))
            case "keyframes":
                batch = keyframes_from_wire(message, self._title_id)
                self.keyframes += batch.num_rows
                self._picture_bytes += len(message.body)
                if self._picture_bytes > self._limits.picture_bytes:
                    raise WireError("too many pictures")
                self._sink(batch)
            case "progress":
                self._progress(_seconds(message))
            case kind:
                raise WireError(kind)
        return None

    def _probabilities(self, message: Message) -> bytes:
        from mediafm_core.shots.detector import FRAME_HEIGHT, FRAME_WIDTH

        began = time.process_time()
        if message.kind == "finish":
            known = self._stream.finish()
        else:
            shape = (-1, FRAME_HEIGHT, FRAME_WIDTH, 3)
            if len(message.body) % (FRAME_HEIGHT * FRAME_WIDTH * 3):
                raise WireError("a part of a picture")
            frames = np.frombuffer(message.body, np.uint8).reshape(shape)  # [n, 27, 48, 3]
            self.frames += len(frames)
            if self.frames > self._limits.frames:
                raise WireError("more pictures than the file can hold")
            known = self._stream.push(frames)
        self.detect_cpu_s += time.process_time() - began
        return known.astype(np.float32, copy=False).tobytes()


def _progress_handler(progress: Callable[[float], None]) -> Handler:
    def handle(message: Message) -> None:
        if message.kind != "progress":
            raise WireError(message.kind)
        progress(_seconds(message))

    return handle


def _seconds(message: Message) -> float:
    seconds = message.head.get("seconds")
    if not isinstance(seconds, int | float):
        raise WireError("no seconds")
    return float(seconds)
