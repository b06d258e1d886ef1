"""Whether the tables and the report of an experiment's folder are what its runs would give again.

Scoring hundreds of runs takes longer than finding them; nothing of it need be done twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import crosstrait
from crosstrait.experiments.cache import DONE
from crosstrait.experiments.file import Experiment
from crosstrait.experiments.key import run_key
from crosstrait.experiments.plan import Run
from crosstrait.experiments.provenance import versions
from crosstrait.experiments.storage import file_digest, write_json

_MARK = ".current.json"


def made_of(
    experiment: Experiment,
    *,
    runs: Sequence[Run],
    finished: Mapping[str, Path],
    panel_digest: str,
) -> str:
    """Return a digest of all that decides the tables: experiment, data, runs, code, libraries."""
    return run_key(
        {
            "experiment": experiment.model_dump(mode="json"),
            "panel": panel_digest,
            "runs": [[*run.place, *_content(finished[run.key])] for run in runs],
            "code": _code_digest(),
            "versions": versions(),
        }
    )


def is_current(out: Path, *, digest: str) -> bool:
    """Whether `mark_current` was called with this digest and no file has changed since."""
    try:
        mark = json.loads((out / _MARK).read_text(encoding="utf-8"))
        return bool(mark["made_of"] == digest) and all(
            file_digest(out / name) == sha for name, sha in mark["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def mark_current(out: Path, *, digest: str) -> None:
    """Note that the files in ``out``, report included, are those of ``digest``.

    Raises
    ------
    StorageError
        If ``out`` cannot be written.
    """
    files = [path for path in sorted(out.iterdir()) if path.is_file() and path.name[0] != "."]
    digests = {path.name: file_digest(path) for path in files}
    write_json(out / _MARK, {"made_of": digest, "files": digests})


def _content(run: Path) -> tuple[str, str]:
    """Return the folder of a run, and the digest of the digests of its files."""
    return run.name, file_digest(run / DONE)


@cache
def _code_digest() -> str:
    """Return the digest of this package's files: other code may give other tables."""
    folder = Path(crosstrait.__file__).parent
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":
            total.update(f"{path.relative_to(folder)}\0".encode())
            total.update(path.read_bytes())
    return total.hexdigest()
