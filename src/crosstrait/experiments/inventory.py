"""What a folder of runs holds, why a run is not among them, and which are no longer used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from crosstrait.errors import StorageError, listed
from crosstrait.experiments.assemble import EXPERIMENT
from crosstrait.experiments.cache import RunCache, is_finished
from crosstrait.experiments.plan import Run
from crosstrait.experiments.run import METRICS, PROVENANCE
from crosstrait.experiments.storage import storage_errors

_DIGESTS = {"panel": "the panel's data", "split": "the samples of the split"}
_ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class CachedRun:
    """A folder of a run.

    Attributes
    ----------
    folder
        The folder.
    finished
        Whether it is whole: a damaged or foreign one is trained again.
    used
        Whether the last experiment of the folder consists of it.
    about
        Its provenance; empty where that cannot be read.
    test_r2
        Mean over traits.
    n_bytes
        Size of its files.
    """

    folder: Path
    finished: bool
    used: bool
    about: Mapping[str, Any]
    test_r2: float | None
    n_bytes: int

    @property
    def key(self) -> str:
        """The run key."""
        return str(self.about["key"])


def list_runs(out: Path) -> list[CachedRun]:
    """Return the runs in the folder of an experiment, by name.

    Raises
    ------
    StorageError
        If ``out`` holds no runs.
    """
    if not (out / "runs").is_dir():
        raise StorageError(f"{out} holds no runs; give the folder of an experiment")
    used = _used_folders(out)
    return [
        _cached_run(folder, used=folder.name in used)
        for folder in sorted((out / "runs").iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def list_missing(out: Path) -> list[str] | None:
    """Return a line a run that the last experiment of a folder lacks; None where none has ended."""
    about = _experiment(out)
    if about is None:
        return None
    return [
        f"{run['model']} replicate {run['replicate']} fold {run['fold']}: {run['reason']}"
        for run in about.get("missing_runs", [])
    ]


def explain(run: Run, *, cached: Iterable[CachedRun]) -> str:
    """Say what sets ``run``, which is not trained yet, apart from the nearest finished run.

    The nearest is of the same model, on the same data and samples where there is one, and has the
    fewest other settings.
    """
    wanted = _leaves(run.parts)
    compared = []
    for other in cached:
        if other.finished and isinstance(other.about.get("key_parts"), Mapping):
            there = _leaves(other.about["key_parts"])
            compared.append((_different(wanted, there), there, other))
    if not compared:
        return "no run is finished yet"
    different, there, nearest = min(compared, key=lambda triple: _distance(triple[0]))
    changes = [_change(name, wanted, there) for name in different]
    return f"differs from {nearest.folder.name} in {listed(changes, most=6)}"


@dataclass(frozen=True, kw_only=True)
class Unused:
    """Something that no run of the last experiment needs.

    Attributes
    ----------
    folder
        What may go.
    why
        In a few words.
    key
        The run key, where it is a whole run.
    """

    folder: Path
    why: str
    n_bytes: int
    key: str | None = None


def find_unused(out: Path) -> list[Unused]:
    """Return damaged runs, runs that the last experiment does not consist of, and leftovers.

    Checkpoints are leftovers only while no process works in the folder, and no job of a cluster is
    still to.

    Raises
    ------
    StorageError
        If ``out`` holds no runs, or no experiment has ended there, so that all may be needed.
    """
    runs = list_runs(out)
    if not (out / EXPERIMENT).is_file():
        raise StorageError(
            f"{out} has no {EXPERIMENT}: no experiment has ended there yet, so every run may be "
            f"needed; run it first"
        )
    found = []
    for run in runs:
        if not run.finished:
            found.append(Unused(folder=run.folder, why="damaged", n_bytes=run.n_bytes))
        elif not run.used:
            why = "not of the last experiment"
            found.append(Unused(folder=run.folder, why=why, n_bytes=run.n_bytes, key=run.key))
    if not _is_worked_in(out):
        for name in (".work", ".new"):
            for folder in sorted((out / "runs" / name).glob("*")):
                found.append(
                    Unused(folder=folder, why="of an unfinished run", n_bytes=_size(folder))
                )
    return found


def prune(out: Path, unused: Iterable[Unused]) -> Iterator[Unused]:
    """Delete ``unused`` and yield what is gone; what another process trains just now stays.

    Raises
    ------
    StorageError
        If a folder cannot be deleted.
    """
    cache = RunCache(out / "runs")
    for item in unused:
        with cache.locked(() if item.key is None else (item.key[:32],), wait=False) as free:
            if free and (item.key is not None or not _is_worked_in(out)):
                with storage_errors(item.folder):
                    shutil.rmtree(item.folder)
                yield item


def _cached_run(folder: Path, *, used: bool) -> CachedRun:
    try:
        about = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        finished = is_finished(folder, key=str(about["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        about, finished = {}, False
    return CachedRun(
        folder=folder,
        finished=finished,
        used=used and finished,
        about=about,
        test_r2=_test_r2(folder),
        n_bytes=_size(folder),
    )


def _experiment(out: Path) -> dict[str, Any] | None:
    try:
        about: dict[str, Any] = json.loads((out / EXPERIMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about


def _used_folders(out: Path) -> set[str]:
    try:
        return {Path(run["folder"]).name for run in (_experiment(out) or {})["runs"]}
    except (KeyError, TypeError):
        return set()


def _test_r2(folder: Path) -> float | None:
    try:
        metrics = pd.read_csv(folder / METRICS, index_col="metric")["value"]
        return float(metrics["test_r2"])
    except (OSError, ValueError, KeyError):
        return None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_worked_in(out: Path) -> bool:
    submitted = any((out / "slurm" / "submitted").glob("*.json"))
    return submitted or RunCache(out / "runs").is_worked_in()


def _leaves(parts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parts.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _different(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name in {**wanted, **there}
        if wanted.get(name, _ABSENT) != there.get(name, _ABSENT)
    ]


def _distance(different: Sequence[str]) -> tuple[bool, bool, bool, int]:
    model, panel, split = (name in different for name in ("model.type", "panel", "split"))
    return model, panel, split, len(different)


def _change(name: str, wanted: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    if name in _DIGESTS:
        return _DIGESTS[name]
    here, other = wanted.get(name, _ABSENT), there.get(name, _ABSENT)
    if name == "traits" and isinstance(here, Sequence) and isinstance(other, Sequence):
        more, fewer = sorted(set(here) - set(other)), sorted(set(other) - set(here))
        signs = [f"with {listed(more, most=3)}"] if more else []
        signs += [f"without {listed(fewer, most=3)}"] if fewer else []
        return f"traits ({' and '.join(signs)})"
    return f"{name} ({_short(here)}, there {_short(other)})"


def _short(value: Any) -> str:
    return value if value is _ABSENT else json.dumps(value, ensure_ascii=False)
