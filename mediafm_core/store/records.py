"""What a record says of how its artefact was made: all that is compared to find what is stale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediafm_core.identity import data_version


@dataclass(frozen=True, slots=True)
class RecordedVersion:
    """What an artefact's record says of how it was made: what states compare, for many titles.

    Attributes:
        data_version: of the artefact.
        inputs: data version of each input, by name.
        identity: what computed it; empty where plain code did.
        code_version: of the code that computed it.
        fingerprint: of the asset `title`: of the title folder that was read.
        file: of the asset `soundtrack`: the file with the sound; None where there is no sound.
        is_consistent: whether the data version is that of the inputs, identity and code, so that
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
        """From the JSON form of an `ArtefactRecord`, without validating what nobody compares.

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
        """Whether its data version is the one that these give."""
        identity = identity or ""
        if self.inputs == inputs and (self.identity, self.code_version) == (identity, code_version):
            return self.is_consistent
        return self.data_version == data_version(inputs, identity, code_version)
