"""The one place that talks to Modal; nothing of it is imported or bound before it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.modal_container import Order, carry_out_in_container
from crosstrait.experiments.engines.modal_image import container_image
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import Files
from crosstrait.extras import require
from crosstrait.training.progress import EpochDone

NAME = "crosstrait"  # of the app, and of the volume, which stays
_MOST_RETRIES = 3
_MOST_TOLD = 1000


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a container needs.

    Attributes
    ----------
    cpus
        Cores.
    memory_gb
        In GiB.
    gpu
        Modal's name of the GPU of containers that train networks, or None.
    minutes
        Time limit of a call.
    """

    cpus: int
    memory_gb: float
    gpu: str | None
    minutes: int


def check_modal() -> None:
    """Check that Modal is installed, knows who is asking, and answers.

    Raises
    ------
    SettingsError
        If not.
    """
    with _clear_errors():
        _modal().Client.from_env()


@contextmanager
def connect(needs: Needs) -> Iterator[ModalService]:
    """Start an app, which ends with the block, and its containers with it.

    Raises
    ------
    SettingsError
        If Modal cannot be used.
    """
    with ExitStack() as stack:
        with _clear_errors():
            modal = _modal()
            app = modal.App(NAME)
            functions = bind(app, needs)
            stack.enter_context(app.run())
            line = stack.enter_context(modal.Queue.ephemeral())
        yield ModalService(functions=functions, line=line)


def bind(app: Any, needs: Needs) -> dict[bool, Any]:
    """Make `carry_out_in_container` functions of ``app``: by whether they have a GPU."""
    modal = _modal()
    image = container_image(modal)

    def function(name: str, gpu: str | None) -> Any:
        register = app.function(
            name=name,
            image=image,
            include_source=False,
            cpu=float(needs.cpus),
            memory=round(needs.memory_gb * 1024),
            gpu=gpu,
            timeout=needs.minutes * 60,
            retries=modal.Retries(max_retries=_MOST_RETRIES, backoff_coefficient=1.0),
        )
        return register(carry_out_in_container)

    plain = function("on-cpu", None)
    return {False: plain, True: function("on-gpu", needs.gpu) if needs.gpu else plain}


@dataclass(frozen=True, kw_only=True)
class ModalService:
    """A running app.

    Attributes
    ----------
    functions
        What `bind` returned.
    line
        The Queue on which containers say how far they are.
    """

    functions: Mapping[bool, Any]
    line: Any

    @property
    def store(self) -> VolumeStore:
        """Where data and checkpoints outlive containers."""
        return VolumeStore(NAME)

    def call(self, order: Order, *, gpu: bool) -> Reply:
        """Carry out an order in a container and wait for the reply."""
        reply: Reply = self.functions[gpu].remote(order, self.store, self.line)
        return reply

    def told(self) -> list[tuple[str, EpochDone]]:
        """Return what containers have said; nothing while Modal does not answer."""
        try:
            told: list[tuple[str, EpochDone]] = self.line.get_many(_MOST_TOLD, block=False)
        except _modal().exception.Error:
            return []
        return told


@dataclass(frozen=True)
class VolumeStore:
    """A store in the Volume called ``name``, from this machine as from a container."""

    name: str

    def store(self, files: Mapping[str, bytes]) -> None:
        """Upload files; all of them appear, or none."""
        with _clear_errors(), _volume(self.name).batch_upload(force=True) as batch:
            for name, content in files.items():
                batch.put_file(BytesIO(content), name)

    def fetch(self, folders: Iterable[str]) -> Files:
        """Download the files below ``folders``."""
        return {name: self.read(name) for folder in folders for name in self.names(folder)}

    def read(self, name: str) -> bytes:
        """Download a file."""
        with _clear_errors():
            return b"".join(_volume(self.name).read_file(name))

    def names(self, folder: str) -> set[str]:
        """List files."""
        modal = _modal()
        with _clear_errors():
            try:
                entries = _volume(self.name).listdir(folder, recursive=True)
            except (FileNotFoundError, _modal().exception.NotFoundError):
                return set()
        files = modal.volume.FileEntryType.FILE
        return {entry.path.lstrip("/") for entry in entries if entry.type == files}

    def drop(self, folders: Iterable[str]) -> None:
        """Delete folders."""
        for folder in folders:
            with _clear_errors():
                try:
                    _volume(self.name).remove_file(folder, recursive=True)
                except (FileNotFoundError, _modal().exception.NotFoundError):
                    continue


@cache
def _volume(name: str) -> Any:
    # Only the second version is made for hundreds of containers that write at once.
    return _modal().Volume.from_name(name, create_if_missing=True, version=2)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what Modal raises into one line that says what to do."""
    require("modal", extra="modal", why="the executor 'modal' needs Modal")
    exceptions = _modal().exception
    try:
        yield
    except exceptions.AuthError as error:
        raise SettingsError(
            f"Modal does not know whose containers to start ({_first_sentence(error)}); get a "
            f"token with: modal token new"
        ) from None
    except exceptions.ConnectionError as error:
        raise SettingsError(
            f"Modal does not answer ({_first_sentence(error)}); check the network; the same "
            f"command goes on from what is finished"
        ) from None
    except exceptions.Error as error:
        raise SettingsError(f"Modal refuses: {type(error).__name__}: {_one_line(error)}") from None


def _first_sentence(error: Exception) -> str:
    return _one_line(error).partition(". ")[0].removesuffix(".")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _modal() -> Any:
    """Import Modal; untyped, as it is checked where it is not installed too."""
    return importlib.import_module("modal")
