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

    The pipeline quarantines the title with this message and goes on with the others.
    """


class IdentityMismatchError(MediaFMError):
    """Vectors of different encoders or models were about to meet in one table or forward pass."""


class StorageError(MediaFMError):
    """Where the inbox or the store is kept does not answer, after the tries that might have helped.

    It concerns the whole run and may pass: running again later is the remedy.
    """


class StoreError(MediaFMError):
    """The store cannot answer: an artefact is missing, or a file in it is not what it should be."""


class NotReadyError(StoreError):
    """Something else is to be computed first: an input of an artefact, or a model."""
