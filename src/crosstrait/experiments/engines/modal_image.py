"""The image of a Modal container: this crosstrait, on the versions that are installed here."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What trains some models, or searches; the other extras are of no use in a container.
_EXTRAS = ("trees", "tune")


def container_image(modal: Any) -> Any:
    """Return an image with Python, the packages and the source of this process.

    The source is added when a container starts, so that a change of it builds no image.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    # LightGBM's wheel takes OpenMP from the system.
    image = modal.Image.debian_slim(python_version=python).apt_install("libgomp1")
    return image.uv_pip_install(*pinned_packages()).add_local_python_source("crosstrait")


def pinned_packages() -> list[str]:
    """Return what crosstrait needs, with all that this needs, as ``name==version`` of here.

    Versions go without a local label such as ``+cpu``, which no index of packages has; extras
    that are not installed are left out.
    """
    found: dict[str, str] = {}
    waiting: list[tuple[str, frozenset[str]]] = [("crosstrait", frozenset(_EXTRAS))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:  # an extra, or for other systems
            continue
        found[name] = package.version.partition("+")[0]
        for needed in _needed(package.requires or (), extras):
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    del found["crosstrait"]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _needed(
    requirements: Iterable[str], extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)
