"""Names of a package that are imported on first use, so that importing the package stays light."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` (PEP 562) of a package.

    Parameters
    ----------
    package
        The package's name.
    homes
        For each name the module that holds it; a module that is called as the name is returned
        itself.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - what it is for
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        return module if homes[name] == f"{package}.{name}" else getattr(module, name)

    return __getattr__
