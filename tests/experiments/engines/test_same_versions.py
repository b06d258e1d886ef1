from __future__ import annotations

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.same_versions import check_versions
from crosstrait.experiments.provenance import versions


@pytest.mark.parametrize("change", [{"torch": "+cu128"}, {"torch": ""}, {"python": ".99"}])
def test_another_build_of_a_version_is_the_same_version(change: dict[str, str]) -> None:
    [(name, ending)] = change.items()
    start = versions()[name].rpartition("." if name == "python" else "+")[0] or versions()[name]
    check_versions({**versions(), name: start + ending}, here="node b")


@pytest.mark.parametrize(
    ("expected", "part"),
    [
        ({"torch": "2.0.0"}, f"node b has torch {versions()['torch']}, not what"),
        ({"python": "3.1.0"}, f"node b has python {versions()['python']}, not what"),
        ({"torch": "2.0.0", "python": "3.1.0"}, "python"),
    ],
)
def test_another_version_is_refused_and_named(expected: dict[str, str], part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_versions({**versions(), **expected}, here="node b")
    assert part in str(caught.value)
    assert "install the same there" in str(caught.value)


def test_a_package_that_is_here_alone_is_named() -> None:
    there = {name: version for name, version in versions().items() if name != "numpy"}
    with pytest.raises(SettingsError, match="node b has numpy"):
        check_versions(there, here="node b")
