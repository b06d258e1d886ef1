"""PyTorch files with a pickle of one's own making."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch


def write_torch_file(
    path: Path,
    pickled: bytes,
    *,
    data: dict[str, bytes] | None = None,
    byteorder: bytes = b"little",
) -> Path:
    """Write the zip that ``torch.save`` would, around any pickle and any bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", byteorder)
        for name, content in (data or {}).items():
            archive.writestr(f"archive/data/{name}", content)
        archive.writestr("archive/version", b"3\n")
    return path


class _Pickler(pickle._Pickler):  # the Python one, whose `save` can be overridden
    def persistent_id(self, obj: Any) -> Any:
        return obj.key if isinstance(obj, StorageKey) else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)


class Global:
    """A name written into the pickle as such, whether or not it exists."""

    def __init__(self, path: str) -> None:
        self.module, self.name = path.rsplit(".", 1)

    def __call__(self) -> None: ...  # pickle asks that what it reduces to is callable


class StorageKey:
    """Where the bytes of a tensor are."""

    def __init__(self, kind: str, entry: str, count: int) -> None:
        self.key = ("storage", Global(f"torch.{kind}"), entry, "cpu", count)


class Call:
    """Something that unpickling would make by calling ``path`` with ``args``."""

    def __init__(self, path: str, *args: Any, state: Any = None) -> None:
        self.callee, self.args, self.state = Global(path), args, state

    def __reduce__(self) -> Any:
        return self.callee, self.args, self.state


def tensor_call(
    shape: tuple[int, ...] = (2,),
    stride: tuple[int, ...] = (1,),
    *,
    offset: int = 0,
    kind: str = "FloatStorage",
    entry: str = "0",
    count: int = 2,
) -> Call:
    """Return the description of a tensor over the bytes of ``data/<entry>``."""
    storage = StorageKey(kind, entry, count)
    return Call("torch._utils._rebuild_tensor_v2", storage, offset, shape, stride, False, {})


def dumps(value: Any, *, protocol: int = 2) -> bytes:
    """Pickle ``value``, writing `Global`, `Call` and `StorageKey` as what they stand for."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def save_checkpoint(path: Path, weights: dict[str, torch.Tensor], **content: Any) -> Path:
    """Write a checkpoint as Lightning does."""
    torch.save({"state_dict": weights, **content}, path)
    return path
