"""Names for files that are being written."""

from __future__ import annotations

import secrets
from pathlib import Path


def beside(path: Path) -> Path:
    """Return a hidden name beside ``path``, to write there and rename.

    No other process has it, of this machine, of a container or of another machine on this disk.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")
