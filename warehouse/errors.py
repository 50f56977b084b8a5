"""Every error that Lakebed raises on purpose: one root, and subclasses that a caller can act on."""

from __future__ import annotations


class LakebedError(Exception):
    """Root of all deliberate errors. The message says what differs, where, and what to do."""


class ConfigError(LakebedError):
    """The configuration cannot be used: unknown key, missing secret, impossible value."""


class ContractError(LakebedError):
    """Data or a definition does not fit a table's contract."""


class SourceError(LakebedError):
    """A source could not be read: unreachable server, file that is not what it claims to be."""


class ShrunkSourceError(SourceError):
    """A replacement is empty or under half of what it would replace; nothing was changed."""


class LakeError(LakebedError):
    """The lake refused an operation: lock not obtained, file not provable, catalog missing."""


class DiskFullError(LakeError):
    """Writing would leave too little room on a disk; nothing was changed."""


class RetentionError(LakebedError):
    """A retention plan cannot be made or applied."""


class ArchiveError(LakebedError):
    """A sealed bundle is damaged, incomplete or cannot be read."""


class QueryError(LakebedError):
    """A query for `lakebed sql` is not a single read-only statement, or it failed."""


class ChecksFailedError(LakebedError):
    """Data checks with severity `error` failed; the affected days stay out of what is downstream."""
