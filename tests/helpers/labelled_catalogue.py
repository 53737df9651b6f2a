"""A small catalogue whose clips have labels."""

from pathlib import Path

import pyarrow as pa
from small_catalogue import MODEL, SmallCatalogue

import mediafm_core
from mediafm_core.training_sets import Exported

TITLES = ("alpha", "beta", "gamma", "delta", "epsilon")
GENRES = ("drama", "news", "sport")


class LabelledCatalogue(SmallCatalogue):
    """Catalogue of clips with labels, as from `clips.csv`, except number 3 of each title."""

    def write(self, title_id: str, model: str = MODEL, shots: int = 20, edition: int = 1) -> None:
        super().write(title_id, model, shots, edition)
        record = self.store.record("clip_features", title_id, model)
        assert record
        clips = self.store.read("clip_features", title_id, model)
        labels = pa.array(
            [labels_of(title_id, number) for number in range(clips.num_rows)],
            pa.map_(pa.string(), pa.string()),
        )
        place = clips.column_names.index("labels")
        self.store.write(record, clips.set_column(place, "labels", labels), model)


def export(small: LabelledCatalogue, out: Path, **options: object) -> Exported:
    """Export a training set of a catalogue."""
    return mediafm_core.export(out, store=small.root, **options)  # type: ignore[arg-type]


def labels_of(title_id: str, number: int) -> list[tuple[str, str]]:
    """Return the labels of a clip as text."""
    if number == 3:
        return []
    genre = GENRES[(len(title_id) + number) % len(GENRES)]
    found = [("genre", genre), ("rating", f"{number}.5"), ("code", f"00{number}")]
    return found if number else [*found, ("explicit", "true"), ("shots", "4")]
