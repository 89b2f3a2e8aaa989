"""The errors a user can meet: each message says what happened, with which value, and what to do about it."""

from __future__ import annotations


class GfpupError(Exception):
    """Something the user can put right. The message is one sentence: what, which value, what to do."""


class PhotoError(GfpupError):
    """One photo cannot be read or written; the run goes on without it."""


class CheckpointError(GfpupError):
    """A checkpoint is not what it should be; the message says what was found and what was expected."""


class LicenceError(GfpupError):
    """A method or metric needs a consent that was not given."""


class OutputError(GfpupError):
    """A result cannot be written (disk full, folder gone); going on would lose work, so the run stops."""
