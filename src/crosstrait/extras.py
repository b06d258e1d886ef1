"""Libraries that only some need, installed as extras and imported on request."""

from __future__ import annotations

import importlib

from crosstrait.errors import SettingsError


def require(module: str, *, extra: str, why: str) -> None:
    """Import a library of an extra, or say how to install it.

    Parameters
    ----------
    module
        The library's module.
    extra
        The extra of crosstrait that it comes with.
    why
        What needs what, as the message begins.

    Raises
    ------
    SettingsError
        If it is not installed.

    Examples
    --------
    >>> require("no_such_module", extra="trees", why="the model 'trees' needs it")
    Traceback (most recent call last):
    crosstrait.errors.SettingsError: the model 'trees' needs it: pip install 'crosstrait[trees]'
    """
    try:
        importlib.import_module(module)
    except ImportError:
        raise SettingsError(f"{why}: pip install 'crosstrait[{extra}]'") from None
