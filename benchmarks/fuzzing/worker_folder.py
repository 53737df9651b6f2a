"""The folder of a worker: a whole catalogue, and canaries outside it that no input may open."""

import shutil
from pathlib import Path

from benchmarks.fuzzing.corpus import SECRET, TEXTS, Corpus


def prepare(root: Path, corpus: Corpus) -> None:
    """Reset a worker's folder to a complete catalogue; the canaries outside it stay."""
    for name in ("inbox", "store", "fresh_store", "adopted", "dagster_home"):
        shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(corpus.catalogue, root, dirs_exist_ok=True)


def make_canaries(root: Path, corpus: Corpus) -> Path:
    """Write the files outside that nothing may open; return their folder."""
    outside = root / "outside"
    outside.mkdir()
    (outside / f"{SECRET}.mp4").write_bytes(corpus.media("mp4"))
    (outside / f"{SECRET}.srt").write_text(TEXTS["srt"])
    return outside
