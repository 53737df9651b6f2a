"""Copies of a catalogue whose titles count as ingested, as the originals do."""

import json
import shutil
from pathlib import Path

from mediafm_core.disk.seals import read_sealed_json, sealed_json
from mediafm_core.titles.inbox import LocalInbox


def copy_catalogue(inbox: Path, store: Path, new_inbox: Path, new_store: Path) -> None:
    """Copy an inbox and a store, and record the copied folders as they are.

    The times at which the system made the copies are part of the fingerprints: with them, all
    copied titles would be read again.
    """
    shutil.copytree(inbox, new_inbox)
    shutil.copytree(store, new_store)
    record_as_they_are(inbox, new_inbox, new_store)


def record_as_they_are(inbox: Path, new_inbox: Path, new_store: Path) -> None:
    """Replace the fingerprints and stamps of folders by those of their copies."""
    for original in LocalInbox(inbox).scan():
        copy = LocalInbox(new_inbox).folder(original.name)
        replaced = {original.fingerprint(): copy.fingerprint()}
        for name, file in original.files.items():
            replaced[f'"{file.stamp}"'] = f'"{copy.files[name].stamp}"'
        for folder in ("title", "quarantine"):
            record = new_store / folder / f"{original.name}.json"
            if record.exists():
                text = json.dumps(read_sealed_json(record.read_bytes()), ensure_ascii=False)
                for old, new in replaced.items():
                    text = text.replace(old, new)
                record.write_bytes(sealed_json(json.loads(text)))
