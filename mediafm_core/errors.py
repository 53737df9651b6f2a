"""The errors that people are meant to read.

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
    """The settings, the machine or an optional dependency cannot do what was asked.

    Raised before any work starts; it concerns the whole run, never one title.
    """


class TitleError(MediaFMError):
    """One title cannot be processed: its input is at fault.

    Raised only by code that has examined the input. The pipeline quarantines the title with this
    message and goes on with the others.
    """


class IdentityMismatchError(MediaFMError):
    """Vectors of different encoders or models were about to meet in one table or forward pass."""


class MachineError(MediaFMError):
    """The machine fails, and would fail any other title: a full disk, a device, open files.

    The run stops with this message and holds no title back; it may be run again later.
    """


class WorkError(MediaFMError):
    """The work on one title has failed, and it is not known that its input is at fault.

    The run goes on with the other titles and fails in the end; the title is tried again by the
    next run.
    """


class ChangedTitleError(WorkError):
    """A file of a title is no longer the one that was taken in: the next run takes it in again."""


class StorageError(MachineError):
    """Where the inbox or the store is kept does not answer, after the tries that might have helped.

    It concerns the whole run and may pass: running again later is the remedy.
    """


class DamagedObjectError(StorageError):
    """An object of S3 arrives whole each time and is not what was written."""


class ServiceError(MachineError):
    """A service that the run depends on, such as a paid encoder's, is out of reach or out of order.

    Raised after the tries that might have helped. It concerns the whole run and may pass: running
    again later is the remedy.
    """


class StoreError(MediaFMError):
    """The store cannot answer: an artefact is missing, or a file in it is not what it should be."""


class DamagedArtefactError(StoreError):
    """An artefact of a title that others are made from cannot be read.

    Attributes:
        asset: the artefact's; it is derived, so that the pipeline removes it and the next run
            computes it anew.
    """

    def __init__(self, asset: str, message: str) -> None:
        super().__init__(message)
        self.asset = asset


class NotReadyError(StoreError):
    """Something else is to be computed first: an input of an artefact, or a model."""
