"""Whether a machine that is to train has the packages of the one that asks it to."""

from __future__ import annotations

from collections.abc import Mapping

from crosstrait.errors import SettingsError, listed
from crosstrait.experiments.provenance import versions


def check_versions(expected: Mapping[str, str], *, here: str) -> None:
    """Check that this machine has the versions that decide the numbers.

    Builds for other processors ("+cpu") and patches of Python count as the same.

    Parameters
    ----------
    expected
        What `provenance.versions` returned where the experiment was started.
    here
        What to call this machine in messages.

    Raises
    ------
    SettingsError
        If a version is another one.
    """
    others = [
        f"{name} {got}"
        for name, got in versions().items()
        if _decisive(name, got) != _decisive(name, expected.get(name, ""))
    ]
    if others:
        raise SettingsError(
            f"{here} has {listed(others)}, not what the experiment was started with; install the "
            f"same there"
        )


def _decisive(name: str, version: str) -> str:
    public = version.partition("+")[0]
    return ".".join(public.split(".")[:2]) if name == "python" else public
