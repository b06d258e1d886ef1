"""Errors that tell a user the rule, the value that broke it, where it is and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

_WHY = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the file would exceed the size limit; raise it",
    errno.EACCES: "it may not be written; change its permissions or choose another folder",
    errno.EPERM: "it may not be written; change its permissions or choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder",
    errno.EEXIST: "there is a file of that name; choose another folder",
}


class CrosstraitError(Exception):
    """An error in what the user gave, not in crosstrait.

    The command line prints its text as one line and exits with code 2.
    """


class DataError(CrosstraitError, ValueError):
    """Genotypes, traits or their join break a rule."""


class SettingsError(CrosstraitError, ValueError):
    """An experiment file, a model or a command has an unknown or unusable setting."""


class DownloadError(CrosstraitError, OSError):
    """A public data set could not be fetched whole."""


class TrainingError(CrosstraitError, RuntimeError):
    """A model could not be fitted."""


class LostError(TrainingError):
    """A training ended through no fault of its settings; the same command goes on with it."""


class StorageError(CrosstraitError, OSError):
    """A file or folder could not be read or written."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known spelling closest to ``word``, or None if none is near.

    Examples
    --------
    >>> nearest("mxa_epochs", ["max_epochs", "batch_size"])
    'max_epochs'
    """
    candidates = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), candidates, n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """Say that ``word`` is no known ``kind``, with the nearest spelling or all of them.

    Examples
    --------
    >>> unknown("model", "rige", ["ridge", "trees"])
    "unknown model 'rige' (did you mean 'ridge'?)"
    """
    names = list(known)
    close = nearest(word, names)
    hint = f"did you mean {close!r}?" if close else f"known: {listed(names, most=20)}"
    return f"unknown {kind} {word!r} ({hint})"


def listed(values: Iterable[object], *, most: int = 5) -> str:
    """Join the first ``most`` values for a message and count the rest.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = [str(value) for value in values]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def not_written(error: OSError) -> str:
    """Say why a file could not be written, and what to do about it.

    Examples
    --------
    >>> not_written(OSError(errno.ENOSPC, "No space left on device"))
    'the disk is full; free some space'
    """
    return _WHY.get(error.errno or 0, error.strerror or str(error))
