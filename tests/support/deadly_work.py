"""Work for a pool that ends some of its workers."""

from __future__ import annotations

import os
from pathlib import Path

from crosstrait.experiments.engines.engine import Outcome
from crosstrait.experiments.plan import Group


class DeadlyWork:
    """Work that ends well, but for one group, which ends its process."""

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly

    def __call__(self, group: Group, shared: Path, wait: bool) -> Outcome:
        if group.name == self.deadly:
            os._exit(9)
        return Outcome(group=group, status="finished")


def start_nothing(*_: object) -> None:
    """Load nothing in a worker that only pretends."""
