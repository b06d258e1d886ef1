"""One of the processes that train a network together: ``python -m crosstrait.training.rank``.

Started by `crosstrait.training.together`, with the folder of its job and its number.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from crosstrait.errors import CrosstraitError
from crosstrait.models.registry import parse_model
from crosstrait.training.checkpoint import CheckpointFile
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network
from crosstrait.training.preparation import build_model
from crosstrait.training.processes import Processes
from crosstrait.training.progress import EpochDone
from crosstrait.training.together import EPOCHS, ERROR, JOB


def main() -> None:
    """Do this process's share of the job, and end with it or with the process that started it."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    # A scheduler's signal to all processes is for the first one to answer.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()
    try:
        train_share(folder, rank)
    except CrosstraitError as error:
        values = {"kind": _known_kind(error), "message": str(error)}
        (folder / ERROR.format(rank)).write_text(json.dumps(values))
        traceback.print_exc()
        sys.exit(1)


def train_share(folder: Path, rank: int) -> None:
    """Train the networks of a job together with the other processes.

    Parameters
    ----------
    folder
        What `crosstrait.training.together` wrote.
    rank
        Which of the processes this is, from 0.
    """
    job = json.loads((folder / JOB).read_text())
    torch.set_num_threads(job["threads"])
    config = parse_model(job["model"])
    train_config = TrainConfig.parse(job["train"], where="train")
    cuda = job["device_type"] == "cuda"
    device = torch.device("cuda", rank) if cuda else torch.device("cpu")
    arrays = {
        # Copied on writing, which never happens: the processes share the file's pages.
        name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
        for name in ("X", "Y", "X_validation", "Y_validation")
    }
    data = DeviceData.place(**arrays, device=device)
    processes = Processes(rank=rank, count=train_config.devices)

    def tell(done: EpochDone) -> None:
        with (folder / EPOCHS).open("a") as lines:
            lines.write(json.dumps(asdict(done)) + "\n")

    with _process_group(folder, processes, device):
        for values in job["tasks"]:
            network = build_model(
                config,
                n_loci=data.X.shape[1],
                n_traits=data.Y.shape[1],
                one_a_trait=job["one_a_trait"],
                seed=values["seed"],
            )
            assert isinstance(network, nn.Module)
            task = MemberTask(
                network=network,
                seed=values["seed"],
                traits=tuple(values["traits"]),
                name=values["name"],
            )
            train_network(
                [task],
                data,
                train_config,
                checkpoint=CheckpointFile(folder=Path(values["folder"]), key=values["key"]),
                checkpoint_seconds=job["checkpoint_seconds"],
                progress=tell if processes.is_first else None,
                processes=processes,
            )


@contextmanager
def _process_group(folder: Path, processes: Processes, device: torch.device) -> Iterator[None]:
    """Meet the other processes, by a file rather than at a port that may be taken."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        # They are all on this machine, whatever its name resolves to.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{folder.absolute() / 'meeting'}",
        rank=processes.rank,
        world_size=processes.count,
        device_id=device if device.type == "cuda" else None,
    )
    yield
    # Not after an error: NCCL would wait for the others, and with it the error that is to be told.
    dist.destroy_process_group()


def _known_kind(error: CrosstraitError) -> str:
    """Return the name of the error's nearest class in `crosstrait.errors`."""
    home = CrosstraitError.__module__
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == home)


def _leave_with_parent(folder: Path) -> None:
    os.read(0, 1)  # returns when the other end of the pipe is closed; nothing is ever written
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    main()
