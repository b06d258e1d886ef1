"""Which cores, threads and GPU a process trains on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from crosstrait.experiments.provenance import machine


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a machine that is one worker's.

    Attributes
    ----------
    threads
        Threads of its trainings, which decide in which order floating-point numbers are added.
    cores
        Cores that the process is kept on; None: any.
    gpus
        Which of the GPUs that CUDA shows it sees, as CUDA_VISIBLE_DEVICES names them; none: all.
    """

    threads: int
    cores: tuple[int, ...] | None = None
    gpus: tuple[str, ...] = ()


def share_out(
    *,
    workers: int,
    threads: int,
    cores: Sequence[int],
    gpus: Sequence[str] = (),
    devices: int = 1,
) -> list[Share]:
    """Divide cores and GPUs among workers.

    Workers are pinned where they fill the machine; fewer would crowd on the first cores together
    with those of another experiment.

    Parameters
    ----------
    workers
        How many there are.
    threads
        Of each training.
    cores, gpus
        The numbers of the cores, and the names of the GPUs, that may be used.
    devices
        Most GPUs, or processes on a CPU, that a training uses: each worker gets as many, and a
        core for each.
    """
    each = max(threads, devices)
    filled = workers * each
    pinned = filled <= len(cores) < filled + each
    seen = min(devices, len(gpus))
    return [
        Share(
            threads=threads,
            cores=tuple(cores[i * each : (i + 1) * each]) if pinned else None,
            gpus=tuple(gpus[(i * seen + j) % len(gpus)] for j in range(seen)),
        )
        for i in range(workers)
    ]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, without starting CUDA."""
    import torch

    n_gpus = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return named[:n_gpus] if any(named) else [str(i) for i in range(n_gpus)]


def take(share: Share) -> None:
    """Make this process, a worker's, use its share for the rest of its life."""
    import torch

    machine()  # it says what the machine has, not what this process may use of it
    if share.cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share.cores)
    if share.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(share.gpus)
    os.environ["OMP_NUM_THREADS"] = str(share.threads)  # read by libraries that are loaded later
    torch.set_num_threads(share.threads)
    threadpool_limits(share.threads)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Train with so many threads while the block runs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
