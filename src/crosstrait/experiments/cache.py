"""The finished runs of an experiment, found by what they were made of.

A run's folder appears in one rename, with a ``DONE`` file that holds the run key and the digest
of every other file but the model card, which people may edit. A folder whose files do not match
its ``DONE`` is not a finished run: whatever interrupted its writing (kill, power cut, full disk,
edit), it is trained again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from crosstrait.experiments.locks import hold
from crosstrait.experiments.plan import Group, Run
from crosstrait.experiments.presence import Presence, present
from crosstrait.experiments.storage import file_digest, make_folder, storage_errors, write_json
from crosstrait.training.model_files import CARD

DONE = "DONE"
_READY = "READY"
_CHECKPOINTS = "checkpoint-*.safetensors"  # of training/checkpoint.py, which brings torch


class RunCache:
    """The folder ``runs`` of an experiment.

    Besides ``<model>-<key8>`` a run, its hidden folders are ``.work`` (checkpoints of unfinished
    trainings), ``.new`` (folders being built), ``.locks`` and ``.drivers`` (who works here).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (".work", ".new", ".locks"):
            make_folder(folder / name)

    def find(self, run: Run) -> Path | None:
        """Return the folder of the finished run, or None."""
        named = self.folder / f"{run.label}-{run.key[:8]}"
        if is_finished(named, key=run.key):
            return named
        # The model may have had another name when it was trained, or two keys begin alike.
        others = (path for path in self.folder.glob(f"*-{run.key[:8]}*") if path != named)
        return next((path for path in others if is_finished(path, key=run.key)), None)

    def working(self) -> Presence:
        """Say that this process works here until the context is left."""
        return Presence(self.folder / ".drivers")

    def is_worked_in(self) -> bool:
        """Whether a driver works here, or some process trains a run of a driver that has died."""
        if present(self.folder / ".drivers"):
            return True
        for path in (self.folder / ".locks").glob("*.lock"):
            try:
                with hold(path, wait=False):
                    pass
            except Timeout:
                return True
        return False

    def work_folder(self, group: Group) -> Path:
        """Return where the checkpoints of the group's training are."""
        return self.folder / ".work" / group.name

    def as_begun(self, group: Group) -> list[Group]:
        """Return the group, in two parts where the first replicates were begun without the rest.

        Its checkpoint stays of use when replicates are added to an interrupted training.
        """
        for n_first in range(len(group.runs), 0, -1):
            part = Group(group.runs[:n_first])
            if any(self.work_folder(part).glob(_CHECKPOINTS)):
                rest = group.runs[n_first:]
                return [part, *(self.as_begun(Group(rest)) if rest else [])]
        return [group]

    def drop_work(self, group: Group) -> None:
        """Delete the checkpoints of a training that is published or failed."""
        shutil.rmtree(self.work_folder(group), ignore_errors=True)

    @contextmanager
    def locked(self, names: Sequence[str], *, wait: bool) -> Iterator[bool]:
        """Hold what ``names`` stand for, so that no other process works on it.

        Yields False where another process holds one of them and ``wait`` is not set. The system
        frees the locks of a process that dies. Names must come in the order that all use.
        """
        with ExitStack() as held:
            free = True
            for name in names:
                try:
                    held.enter_context(hold(self._lock(name), wait=wait))
                except Timeout:
                    held.close()
                    free = False
                    break
            yield free

    def recover(self, group: Group) -> None:
        """Finish what a killed process had written whole but not renamed; under the locks."""
        with hold(self._lock("recover"), wait=True), storage_errors(self.folder):
            for new in sorted((self.folder / ".new").iterdir()):
                try:
                    written = {path.name for path in new.iterdir()}
                except FileNotFoundError:  # another process has published it meanwhile
                    continue
                if _READY in written and any(_whole_name(run) in written for run in group.runs):
                    self._rename(new)

    @contextmanager
    def publishing(self, group: Group) -> Iterator[dict[str, Path]]:
        """Yield by run key the folders to write the runs' files in, then publish them.

        All runs of the group appear or none: a kill between two renames is made up for by
        `recover`.
        """
        new = self.folder / ".new" / group.name
        folders = {run.key: new / _whole_name(run) for run in group.runs}
        with storage_errors(new):
            shutil.rmtree(new, ignore_errors=True)
            try:
                for folder in folders.values():
                    folder.mkdir(parents=True)
                yield folders
                for key, folder in folders.items():
                    mark_done(folder, key)
                (new / _READY).touch()
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            self._rename(new)

    def receive(self, group: Group, *, files: Mapping[str, Mapping[str, bytes]]) -> None:
        """Publish runs that another machine trained; the caller holds their locks.

        Parameters
        ----------
        group
            The runs that may be among them.
        files
            By run key, the files of the finished folder by name.
        """
        new = self.folder / ".new" / group.name
        with storage_errors(new):
            shutil.rmtree(new, ignore_errors=True)
            for run in group.runs:
                if run.key in files:
                    folder = new / _whole_name(run)
                    folder.mkdir(parents=True)
                    for name, content in files[run.key].items():
                        (folder / name).write_bytes(content)
            if new.is_dir():
                (new / _READY).touch()
                self._rename(new)

    def _rename(self, new: Path) -> None:
        for built in [path for path in new.iterdir() if path.is_dir()]:
            label, _, key = built.name.rpartition("-")
            if is_finished(built, key=key):
                built.rename(self._free_name(label, key))
        shutil.rmtree(new, ignore_errors=True)

    def _free_name(self, label: str, key: str) -> Path:
        for length in (8, 16, 64):
            path = self.folder / f"{label}-{key[:length]}"
            if not path.exists():
                break
            if _key_of(path) in (key, None):  # damaged, or it would not have been trained again
                shutil.rmtree(path)
                break
        return path

    def _lock(self, name: str) -> Path:
        return self.folder / ".locks" / f"{name}.lock"


def is_finished(folder: Path, *, key: str | None = None) -> bool:
    """Whether ``folder`` holds a whole run (of that key) whose files match its ``DONE``."""
    try:
        done = json.loads((folder / DONE).read_text())
        if key is not None and done["key"] != key:
            return False
        return all(file_digest(folder / name) == sha for name, sha in done["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _whole_name(run: Run) -> str:
    return f"{run.label}-{run.key}"


def _key_of(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / DONE).read_text())["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mark_done(folder: Path, key: str) -> None:
    """Write the ``DONE`` of a folder whose other files are all there."""
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != CARD}
    write_json(folder / DONE, {"key": key, "files": files})
