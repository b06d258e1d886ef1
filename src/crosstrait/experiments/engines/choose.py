"""Which engine carries an experiment out, by name.

Engines are imported when they are asked for, and import their libraries themselves.
"""

from __future__ import annotations

from crosstrait.errors import SettingsError, unknown
from crosstrait.experiments.engines.engine import Engine
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.engines.slurm_table import SlurmConfig

EXECUTORS = ("local", "ray", "slurm", "modal")


def check_engine(name: str, *, workers: int | None) -> None:
    """Check the choice of an engine, before any work.

    Raises
    ------
    SettingsError
        If there is none of that name, it cannot be used here, or it has no workers.
    """
    if name not in EXECUTORS:
        raise SettingsError(unknown("executor", name, EXECUTORS))
    if name == "ray":
        from crosstrait.experiments.engines.ray_engine import check_ray

        check_ray()
    elif name == "slurm":
        from crosstrait.experiments.engines.slurm_cluster import check_slurm

        check_slurm()
    elif name == "modal":
        from crosstrait.experiments.engines.modal_service import check_modal

        check_modal()
    if workers is not None and workers < 1:
        raise SettingsError(f"workers = {workers}: at least one process is needed")


def make_engine(
    name: str,
    *,
    workers: int | None,
    threads: int = 1,
    slurm: SlurmConfig | None = None,
    modal: ModalConfig | None = None,
) -> Engine:
    """Return the engine.

    Parameters
    ----------
    name
        ``local``: this machine; or a cluster's.
    workers
        Trainings at once; None: as many as the machine or the cluster can take.
    threads
        CPU threads of each training.
    slurm
        What to ask a Slurm cluster for.
    modal
        What Modal's containers have.
    """
    if name == "ray":
        from crosstrait.experiments.engines.ray_engine import RayEngine

        return RayEngine(workers, threads)
    if name == "slurm":
        from crosstrait.experiments.engines.slurm_cluster import SlurmCluster
        from crosstrait.experiments.engines.slurm_engine import SlurmEngine

        cluster = SlurmCluster(config=slurm or SlurmConfig(), threads=threads)
        return SlurmEngine(cluster=cluster, workers=workers, threads=threads)
    if name == "modal":
        from crosstrait.experiments.engines.modal_engine import ModalEngine

        return ModalEngine(workers, threads, modal or ModalConfig())
    from crosstrait.experiments.engines.local import Local

    return Local(workers, threads)
