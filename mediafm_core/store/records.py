"""Records of artefacts: what each was made of, and what is compared to find stale ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mediafm_core.identity import data_version

RECORD_KEY = b"mediafm"
"""Key of the record in the metadata of a Parquet file."""

JSON_ASSETS = frozenset({"title", "soundtrack"})
"""Assets that are kept as JSON; every other one is a table with its record in the footer."""


class ResourceUsage(BaseModel):
    """Time and memory that computing an artefact took; no part of data versions and comparisons."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int = 0
    finished_at: datetime | None = Field(
        None, description="UTC; None in records of versions without it"
    )
    parts: dict[str, float] = Field(default_factory=dict, description="CPU seconds by part")


class ArtefactRecord(BaseModel):
    """Provenance of an artefact, stored with it."""

    model_config = ConfigDict(frozen=True)

    asset: str
    title_id: str
    data_version: str
    inputs: dict[str, str] = Field(default_factory=dict, description="data version by input")
    identity: str | None = Field(None, description="encoder, detector or model that computed it")
    code_version: str = "1"
    details: dict[str, Any] = Field(
        default_factory=dict, description="facts about the content: counts, dimension, ranges"
    )
    measured: ResourceUsage | None = None


@dataclass(frozen=True, slots=True)
class RecordedVersion:
    """The part of an artefact's record that decides whether the artefact is stale.

    Attributes:
        data_version: of the artefact.
        inputs: data version of each input, by name.
        identity: of the encoder, detector or model; empty if plain code computed it.
        code_version: of the code that computed it.
        fingerprint: of the title folder; only in records of the asset `title`.
        file: the file with the sound, None without sound; only for the asset `soundtrack`.
        is_consistent: True if the data version follows from inputs, identity and code, so that
            comparing these is enough.
    """

    data_version: str
    inputs: dict[str, str]
    identity: str
    code_version: str
    fingerprint: str | None
    file: str | None
    is_consistent: bool

    @classmethod
    def of(cls, record: dict[str, Any], file: str | None = None) -> "RecordedVersion":
        """Make one from the JSON form of an `ArtefactRecord`, without validating the other fields.

        Raises:
            KeyError, TypeError, AttributeError: it is no record.
        """
        inputs, identity = dict(record["inputs"]), record["identity"] or ""
        version, code_version = str(record["data_version"]), record["code_version"]
        expected = data_version(inputs, identity, code_version)
        fingerprint = record["details"].get("fingerprint")
        return cls(version, inputs, identity, code_version, fingerprint, file, version == expected)

    def is_made_of(
        self, inputs: Mapping[str, str], identity: str | None, code_version: str
    ) -> bool:
        """Return True if its data version is the one that the arguments give."""
        identity = identity or ""
        if self.inputs == inputs and (self.identity, self.code_version) == (identity, code_version):
            return self.is_consistent
        return self.data_version == data_version(inputs, identity, code_version)
