"""Errors whose messages are meant for people.

Every message is one sentence that names the file or title, the offending value and the remedy.
"""

from mediafm_core.readable import one_line


class MediaFMError(Exception):
    """Base of all errors raised on purpose.

    Its text is one line, printable and of bounded length, whatever a title or file puts into it.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class ConfigurationError(MediaFMError):
    """The settings, the machine or an optional dependency do not allow the work.

    Raised before any work starts; it concerns the whole run, never one title.
    """


class TitleError(MediaFMError):
    """One title cannot be processed: its input is at fault.

    Raised only by code that has examined the input. The pipeline quarantines the title with this
    message and continues with the others.
    """


class IdentityMismatchError(MediaFMError):
    """Vectors of different encoders or models would be mixed in one table or forward pass."""


class MachineError(MediaFMError):
    """A fault of the machine that any title would meet: a full disk, a device, open files.

    The run stops with this message and quarantines no title; run it again later.
    """


class WorkError(MediaFMError):
    """A failure on one title that is not known to be the fault of its input.

    The run continues with the other titles and fails in the end; the next run tries the title
    again.
    """


class ChangedTitleError(WorkError):
    """A file of a title has changed since it was registered: the next run registers it again."""


class StorageError(MachineError):
    """Storage of the inbox or the store that does not answer, after all retries.

    It concerns the whole run and may pass: run again later.
    """


class DamagedObjectError(StorageError):
    """An object of S3 whose content is not what was written, although each transfer is complete."""


class ServiceError(MachineError):
    """A service that the run depends on, such as a paid encoder's, is unreachable or out of order.

    Raised after all retries. It concerns the whole run and may pass: run again later.
    """


class StoreError(MediaFMError):
    """An artefact is missing from the store, or one of its files is wrong."""


class DamagedArtefactError(StoreError):
    """An artefact of a title that cannot be read.

    Attributes:
        asset: the artefact's asset. It is derived: the pipeline removes the artefact, and the
            next run computes it again.
    """

    def __init__(self, asset: str, message: str) -> None:
        super().__init__(message)
        self.asset = asset


class NotReadyError(StoreError):
    """An input of an artefact, or a model, has to be computed first."""
