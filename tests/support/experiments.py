"""A tiny experiment on files, as a user would have it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

TINY = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 2
[train]
replicates = 2
max_epochs = 3
batch_size = 16
device = "cpu"
[[model]]
type = "ridge"
[[model]]
type = "canonical"
embedding_dim = 4
n_layers = 1
"""

RIDGE = TINY.partition('[[model]]\ntype = "canonical"')[0].replace(
    "max_epochs = 3\nbatch_size = 16\n", ""
)
"""Its model that is no network, without the settings that only networks read."""


def write_tiny(folder: Path, *, text: str = TINY) -> Path:
    """Write a simulated cross and an experiment file about it; return the file."""
    config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4)
    panel, _ = simulate(config)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cross.zarr").exists():
        save_panel(panel, folder / "cross.zarr")
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


# Processes are forked from a server that has imported everything and computed nothing: each is
# a fresh process, without the seconds of imports.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "crosstrait.cli",
        "crosstrait.experiments.driver",
        "crosstrait.report.page",
        "crosstrait.report.table",
        "crosstrait.training.network",
    ]
)


class Command:
    """A running ``crosstrait`` command, in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.process = _SERVER.Process(
            target=_carry_out, args=([str(a) for a in arguments], self._folder.name)
        )
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self, *, seconds: float = 120) -> tuple[int, str, str]:
        """Wait for the end; return exit code, stdout and stderr."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(self._read("stderr"))
        return self.process.exitcode, self._read("stdout"), self._read("stderr")

    def close(self) -> None:
        """Kill the process if it is still there, and forget what it said."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self._folder.cleanup()

    def _read(self, name: str) -> str:
        return (Path(self._folder.name) / name).read_text()


def _carry_out(arguments: list[str], folder: str) -> None:
    os.setpgrp()  # so that a test can send the Ctrl-C of a terminal to all its processes
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder) / name, os.O_CREAT | os.O_WRONLY), number)
    from crosstrait.cli import main

    main(arguments)
