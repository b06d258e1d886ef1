"""Tensors come out of a PyTorch file within their bounds, and nothing else does."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from crosstrait.errors import DataError, StorageError
from crosstrait.models.torch_file import read_torch_file
from support.torch_files import Call, dumps, save_checkpoint, tensor_call, write_torch_file

FLOATS = struct.pack("<6f", *range(6))


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool],
    ids=str,
)
def test_tensors_of_every_kind_come_back_as_they_were(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = (torch.arange(24).reshape(2, 3, 4) % 5).to(dtype)
    weights = {
        "whole": whole,
        "transposed": whole.mT,
        "part": whole[1:, :, ::2],
        "number": torch.ones((), dtype=dtype),
        "parameter": torch.nn.Parameter(whole, requires_grad=False),
    }
    found = read_torch_file(save_checkpoint(tmp_path / "a.ckpt", weights)).weights
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor)


def test_a_plain_state_dict_needs_no_checkpoint_around_it(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    torch.save(layer.state_dict(), tmp_path / "a.pt")
    found = read_torch_file(tmp_path / "a.pt")
    assert torch.equal(found.weights["weight"], layer.weight)
    assert found.content == {}


def test_the_rest_of_a_checkpoint_is_kept_as_data(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "a.ckpt", {"w": torch.ones(2)}, epoch=7, name="x")
    content = read_torch_file(path).content
    assert (content["epoch"], content["name"]) == (7, "x")


def write(path: Path, tensor: Any, **kwargs: Any) -> Path:
    return write_torch_file(path, dumps({"state_dict": {"w": tensor}}), **kwargs)


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    tensor = tensor_call((2, 2), (3, 1), offset=1, count=6)
    path = write(tmp_path / "a.ckpt", tensor, data={"0": FLOATS})
    assert read_torch_file(path).weights["w"].tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (tensor_call((7,), (1,), count=6), "does not lie in its 6 values"),
        (tensor_call((6,), (1,), offset=1, count=6), "does not lie in"),
        (tensor_call((2,), (-1,), offset=1, count=6), "does not lie in"),
        (tensor_call((-2,), (1,), count=6), "does not lie in"),
        (tensor_call((2,), (1,), offset=-1, count=6), "does not lie in"),
        (tensor_call((2, 2), (1,), count=6), "does not lie in"),
        (tensor_call((0,), (1,), count=6), "does not lie in"),
        (tensor_call((10**12,), (0,), count=6), "does not lie in"),
        (tensor_call((2**62, 2**62), (0, 0), count=6), "does not lie in"),
        (tensor_call((2,), (10**30,), count=6), "does not lie in"),
        (tensor_call(count=10**12), "should have 1000000000000 values"),
        (tensor_call(count=6, kind="DoubleStorage"), "should have 6 values of torch.float64"),
        (tensor_call(count=6, entry="1"), "the bytes of the weight 'w' are missing"),
        (tensor_call(count=6, entry="../data.pkl"), "the bytes of the weight 'w' are missing"),
        (Call("analysis.base.Weight", 1), "'w' is no plain tensor"),
        (Call("torch._utils._rebuild_parameter"), "'w' is no plain tensor"),
        (Call("torch._utils._rebuild_tensor_v2", 1, 0, (1,), (1,)), "'w' is no plain tensor"),
        ([1.0, 2.0], "'w' is no plain tensor"),
    ],
)
def test_a_tensor_outside_its_bytes_is_refused(tmp_path: Path, tensor: Any, message: str) -> None:
    path = write(tmp_path / "a.ckpt", tensor, data={"0": FLOATS})
    with pytest.raises(DataError, match=message) as caught:
        read_torch_file(path)
    assert str(path) in str(caught.value)


def test_code_in_the_settings_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    content = {
        "state_dict": {"w": tensor_call(count=6)},
        "hyper_parameters": {"train_config": Call("os.system", f"touch {ran}")},
    }
    path = write_torch_file(tmp_path / "a.ckpt", dumps(content), data={"0": FLOATS})
    with pytest.raises(DataError, match=r"names os\.system"):
        read_torch_file(path)
    assert not ran.exists()


def test_a_compressed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    pickled = dumps({"state_dict": {"w": tensor_call((2,), (1,), count=10**7)}})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled, zipfile.ZIP_STORED)
        archive.writestr("archive/data/0", bytes(4 * 10**7))
    with pytest.raises(DataError, match="compressed or larger"):
        read_torch_file(path)


@pytest.mark.parametrize("change", ["cut", "flip"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, change: str) -> None:
    path = save_checkpoint(tmp_path / "a.ckpt", {"w": torch.arange(1000.0)})
    content = bytearray(path.read_bytes())
    if change == "cut":
        del content[len(content) // 2 :]
    else:
        at = content.find(struct.pack("<2f", 500.0, 501.0))
        content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no PyTorch file"),
        (b"\x80\x02cos\nsystem\n.", "no PyTorch file"),  # what old versions wrote, and attackers
        (b"genotypes\n", "no PyTorch file"),
    ],
)
def test_what_is_no_zip_is_never_read_as_a_pickle(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_torch_file(tmp_path / "a.ckpt")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("geno_train.npy", b"x")
    with pytest.raises(DataError, match=r"needs one folder with data\.pkl"):
        read_torch_file(tmp_path / "a.ckpt")


@pytest.mark.parametrize(("content", "message"), [([1], "no state dict"), ({}, "empty")])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(DataError, match=message):
        read_torch_file(tmp_path / "a.pt")


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", tensor_call(), data={"0": FLOATS}, byteorder=b"big")
    with pytest.raises(DataError, match="big-endian"):
        read_torch_file(path)


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        read_torch_file(tmp_path / "nothing.ckpt")
