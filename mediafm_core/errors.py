"""The errors that people are meant to read.

Every message is one sentence that names the file or title, the offending value and the remedy.
"""


class MediaFMError(Exception):
    """Base of all errors raised on purpose."""


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


class ServiceError(MediaFMError):
    """A service that the run depends on, such as a paid encoder's, is out of reach or out of order.

    Raised after the tries that might have helped. It concerns the whole run and may pass: running
    again later is the remedy.
    """


class StoreError(MediaFMError):
    """The store cannot answer: an artefact is missing, or a file in it is not what it should be."""


class NotReadyError(StoreError):
    """Something else is to be computed first: an input of an artefact, or a model."""
