"""The errors of this project: each is final, so that no retry repeats it.

    PipelineError
    ├── ConfigError     the request itself: a path, an option, a bucket, permissions
    ├── RecordError     one record that cannot become a note; carries a reason code
    ├── ShardError      a stored shard that is damaged or is not what its name says
    └── DatasetError    a data set as a whole: empty, too many drops, one class only; a record of it
        └── FormatError that is of a format of another version

Input and output errors (OSError and its kin) are left alone: retries are for them.
"""


class PipelineError(Exception):
    """Base of all errors that a user or the data caused; the message is one sentence."""


class ConfigError(PipelineError):
    """The request cannot be carried out as it stands."""


class RecordError(PipelineError):
    """A record that cannot become a note.

    Attributes:
      reason: one of the codes that modules of `pipelines.convert` list.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ShardError(PipelineError):
    """A stored shard that cannot be trusted."""


class DatasetError(PipelineError):
    """A data set that cannot be used as it is."""


class FormatError(DatasetError):
    """A stored record of a format that this version does not read."""
