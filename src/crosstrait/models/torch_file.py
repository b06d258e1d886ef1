"""Read the tensors and settings of a PyTorch file without unpickling it."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crosstrait.errors import DataError, StorageError
from crosstrait.models.pickle_reader import Inert, Named, Persistent, read_pickle

_STORED = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
_MOST_PICKLE = 64 * 2**20  # bytes; the tensors lie outside the pickle, which is small


@dataclass(frozen=True)
class TorchFile:
    """What a PyTorch file holds.

    Attributes
    ----------
    weights
        Its state dict: the entry ``state_dict`` of a checkpoint, or the whole of a plain file.
    content
        Everything else, as read by `read_pickle`.
    """

    weights: dict[str, Tensor]
    content: dict[str, Any]


def read_torch_file(path: Path) -> TorchFile:
    """Return the weights and the other content of a file written by ``torch.save``.

    No code of the file runs: what it would construct stays an inert record, and tensors are
    cut by hand from the bytes stored beside the pickle, within their bounds.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataError
        If it is no such file, is damaged, or names code that no file of weights needs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Reader(archive, where=str(path)).read()
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise DataError(
            f"{path} is no PyTorch file of version 1.6 or newer, or it is damaged ({error}); "
            "files of older versions: load and save them once with a newer PyTorch"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile, *, where: str) -> None:
        self.archive = archive
        self.where = where
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise self.error("this zip is no PyTorch file: it needs one folder with data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        self.storages: dict[tuple[str, str], Tensor] = {}
        self.unread = sum(entry.compress_size for entry in archive.infolist())

    def error(self, message: str) -> DataError:
        return DataError(f"{self.where}: {message}")

    def read(self) -> TorchFile:
        names = set(self.archive.namelist())
        if f"{self.folder}byteorder" in names and self.bytes_of("byteorder") != b"little":
            raise self.error("it was written on a big-endian machine, which is not supported")
        content = read_pickle(self.bytes_of("data.pkl", most=_MOST_PICKLE), where=self.where)
        if not isinstance(content, dict):
            raise self.error("it holds no state dict")
        stored = content.get("state_dict", content)
        if not isinstance(stored, dict) or not stored:
            raise self.error("its state dict is empty or no dict")
        weights = {str(name): self.tensor(name, value) for name, value in stored.items()}
        return TorchFile(weights, {} if stored is content else content)

    def bytes_of(self, name: str, *, most: int | None = None) -> bytes:
        entry = self.archive.getinfo(f"{self.folder}{name}")
        # PyTorch never compresses, so that nothing can unfold to more than the file's own size.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > (most or self.unread):
            raise self.error(f"the entry {name!r} is compressed or larger than it may be")
        self.unread -= entry.file_size
        return self.archive.read(entry)

    def tensor(self, name: Any, value: Any) -> Tensor:
        if isinstance(value, Inert) and value.callee.name == "_rebuild_parameter":
            value = value.args[0] if value.args else None
        match value:
            case Inert(
                callee=Named(module="torch._utils", name="_rebuild_tensor_v2"),
                args=(Persistent(key=key), int(offset), tuple(shape), tuple(stride), *_),
            ):
                return self.cut(name, self.storage(name, key), offset, shape, stride)
        raise self.error(f"the weight {name!r} is no plain tensor")

    def storage(self, name: Any, key: Any) -> Tensor:
        match key:
            case ("storage", Named(module="torch", name=kind), str(entry), _, int(count)) if (
                kind in _STORED
            ):
                pass
            case _:
                raise self.error(f"the weight {name!r} has an unknown kind of storage")
        if (entry, kind) not in self.storages:
            if f"{self.folder}data/{entry}" not in self.archive.namelist():
                raise self.error(f"the bytes of the weight {name!r} are missing: data/{entry}")
            data = self.bytes_of(f"data/{entry}")
            dtype = _STORED[kind]
            if not data or len(data) != count * dtype.itemsize:
                raise self.error(
                    f"the weight {name!r} should have {count} values of {dtype}, "
                    f"but data/{entry} has {len(data)} bytes"
                )
            self.storages[entry, kind] = torch.frombuffer(bytearray(data), dtype=dtype)
        return self.storages[entry, kind]

    def cut(
        self,
        name: Any,
        storage: Tensor,
        offset: int,
        shape: tuple[Any, ...],
        stride: tuple[Any, ...],
    ) -> Tensor:
        numbers = (offset, *shape, *stride)
        whole = all(type(number) is int and number >= 0 for number in numbers)
        if whole and len(shape) == len(stride):
            last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
            if 0 < math.prod(shape) <= len(storage) and last < len(storage):
                return storage.as_strided(shape, stride, offset)
        raise self.error(
            f"the weight {name!r} of shape {shape} and stride {stride} from {offset} on "
            f"does not lie in its {len(storage)} values"
        )
