"""The processes of a joint training, forked from a server that has imported everything.

Each is started as `crosstrait.training.together` starts it, but for the seconds of imports.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["crosstrait.training.rank"])


class Forked:
    """As much of `subprocess.Popen` as is used."""

    started: list[Forked] = []  # noqa: RUF012 - shared on purpose

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int,
        stdout: IO[bytes],
        stderr: IO[bytes],
        process_group: int,
    ) -> None:
        there, self._here = _SERVER.Pipe(duplex=False)
        ranks = {name: env[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
        self._process = _SERVER.Process(
            target=_be, args=(list(command[3:]), ranks, there, stdout.name)
        )
        self._process.start()
        there.close()
        Forked.started.append(self)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        self._process.join()

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()


def _be(
    arguments: list[str],
    ranks: dict[str, str],
    stdin: multiprocessing.connection.Connection,
    log: str,
) -> None:
    os.dup2(stdin.fileno(), 0)
    for number in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(ranks)
    sys.argv[1:] = arguments
    from crosstrait.training.rank import main

    main()
