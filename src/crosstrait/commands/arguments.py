"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Changes = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", consume_multiple=False, show_default=False),
]

Flag = Annotated[bool, Parameter(negative="")]
