"""The functions that read what strangers sent, each in a child: same arguments, results and errors.

A step of a title makes one `TitleReader`, which has one child. The child is forked when it is first
needed, with limits by the size and description of the file.
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
from mediafm_core.isolation.child_process import ChildProcess, Used, next_events
from mediafm_core.isolation.fork_server_handle import TASKS
from mediafm_core.isolation.limits import Limits, limits_for
from mediafm_core.isolation.wire import Message, WireError
from mediafm_core.isolation.wire_errors import rebuilt
from mediafm_core.titles.manifest import Manifest
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe, SubtitleStream
    from mediafm_core.media.subtitles import TimedText
    from mediafm_core.shots.decode import DecodeSummary
    from mediafm_core.shots.detector import ShotDetector

Handler = Callable[[Message], Message | None]
"""Takes what a child says while it works; returns the answer that it waits for, if it does."""


class TitleReader:
    """Reads the files of one title in a child. Use as a context manager.

    Args:
        settings: limits.
        size_bytes: of the largest file to be read; that of the first one if not given.
        probe: its description, where it is to be decoded.
        waiting: called about twice a second while the child works; what it raises ends it.
        tasks: the module of what the child can do.

    Attributes:
        used: what the child has used, known at the end of the block.
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
        self.used = Used(0.0, 0)

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
        """Rights that the child could not give up on this system; empty before it runs."""
        return self._child.missing if self._child else ()

    def manifest(self, file: TitleFile, title_id: str) -> Manifest:
        """As `read_manifest`."""
        data = self.run("manifest", "reading it", [file], {"title_id": title_id})
        from mediafm_core.isolation.wire_results import parsing

        with self._checked(), parsing():
            found = Manifest.model_validate_json(data)
            if found.title_id != title_id:
                raise WireError(found.title_id)
            return found

    def probe(self, file: TitleFile, language: str | None = None) -> "MediaProbe":
        """As `mediafm_core.media.probe.probe`."""
        from mediafm_core.isolation.wire_results import parsing
        from mediafm_core.media.probe import MediaProbe

        data = self.run("probe", "probing", [file], {"language": language})
        with self._checked(), parsing():
            return MediaProbe.model_validate_json(data)

    def side_file(
        self, file: TitleFile, language: str | None = None, title_language: str | None = None
    ) -> "TimedText":
        """As `read_side_file`."""
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
        """As `read_embedded`."""
        from mediafm_core.isolation.wire_results import timed_text_from_wire

        arguments = {
            "stream": stream.model_dump(mode="json"),
            "origin_s": origin_s,
            "title_language": title_language,
        }
        data = self.run("embedded", "reading captions", [file], arguments, _reporting(progress))
        with self._checked():
            return timed_text_from_wire(data)

    def clips(
        self, file: TitleFile, title_id: str, duration_s: float, language: str | None = None
    ) -> pa.Table:
        """As `read_clips`."""
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
        """As `decode_title`; the detector's network runs in this process.

        Of the processor seconds, those of detection are this process's.
        """
        from mediafm_core.isolation.wire_results import summary_from_wire

        hosted = _HostedDecode(self._limits(file), detector, title_id, keyframe_sink, progress)
        arguments = {
            "title_id": title_id,
            "probe": probe.model_dump(mode="json"),
            "threshold": detector.threshold,
            "keyframes": settings.model_dump(mode="json"),
        }
        with soundtrack_path.open("w+b", buffering=0) as soundtrack:
            data = self.run(
                "decode", "decoding", [file], arguments, hosted.handle, [soundtrack.fileno()]
            )
        with self._checked():
            summary = summary_from_wire(data, title_id, hosted.frames, hosted.keyframes)
        if summary.soundtrack_s == 0:
            soundtrack_path.unlink()
        summary.cpu_seconds["detect"] += hosted.detect_cpu_s
        return summary

    def run(
        self,
        task: str,
        doing: str,
        files: Sequence[TitleFile],
        arguments: dict[str, Any],
        handle: Handler = lambda _message: None,
        written: Sequence[int] = (),
    ) -> bytes:
        """Let the child do a task; returns its result, JSON that is to be checked.

        Args:
            task: its name.
            doing: what it does, for people.
            files: open files for it to read; the first names the errors.
            arguments: of the task, as JSON has them.
            handle: takes what the child says meanwhile.
            written: descriptors of files that it may write to.

        Raises:
            TitleError: as the task raises it, or the child has crashed, made no progress, outgrown
                a limit or sent garbage.
            MachineError: no child can be started, or the machine fails it.
        """
        child = self._child_for(files[0], doing)
        child.ask(task, files, json.dumps(arguments).encode(), written, doing)
        while True:
            for _, message, error in next_events([child], self._waiting):
                if message is None:
                    raise error or AssertionError
                match message.kind:
                    case "result":
                        return message.body
                    case "outgrown":
                        raise child.outgrown(str(message.head.get("limit")))
                    case "error":
                        raise rebuilt(message.head) or child.garbage(WireError("error"))
                with self._checked():
                    answer = handle(message)
                if answer is not None:
                    child.answer(answer)

    def _child_for(self, file: TitleFile, doing: str) -> ChildProcess:
        """The child at hand, or a new one if there is none or a larger file needs more."""
        limits = self._limits(file)
        if self._child is not None and self._child.limits.cpu_s < limits.cpu_s:
            self._end()
        if self._child is None:
            self._child = ChildProcess(limits, str(file), doing, self._tasks)
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()
            cpu_s, peak_bytes = child.used
            self.used = Used(self.used.cpu_s + cpu_s, max(self.used.peak_bytes, peak_bytes))

    def _limits(self, file: TitleFile) -> Limits:
        size_bytes = file.size if self._size_bytes is None else self._size_bytes
        return limits_for(self._settings, size_bytes, self._probe)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Turn what is wrong with something that the child has sent into an error of its title."""
        try:
            yield
        except WireError as error:
            if self._child is None:
                raise
            raise self._child.garbage(error) from None


class _HostedDecode:
    """The part of a decode that is no child's: detection, and where keyframes go.

    Attributes:
        frames: pictures that the child has handed over.
        keyframes: keyframes that it has handed over.
        detect_cpu_s: processor seconds of detection.
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
        """Take what the child says.

        Raises:
            WireError: it cannot be right.
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


def _reporting(progress: Callable[[float], None]) -> Handler:
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
