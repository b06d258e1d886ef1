"""A pickle is read as data; nothing that it names is called or imported."""

from __future__ import annotations

import contextlib
import pickle
import pickletools
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstrait.errors import DataError
from crosstrait.models.pickle_reader import Inert, Named, read_pickle
from support.torch_files import Call, Global, dumps

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.lists(inner).map(tuple)
    ),
    max_leaves=20,
)


@given(value=plain, protocol=st.sampled_from([2, 3, 4, 5]))
def test_plain_values_come_back_as_they_were(value: Any, protocol: int) -> None:
    assert read_pickle(pickle.dumps(value, protocol), where="x") == value


def test_an_ordered_dict_comes_back_as_a_dict() -> None:
    from collections import OrderedDict

    assert read_pickle(pickle.dumps(OrderedDict(a=1, b=2), 2), where="x") == {"a": 1, "b": 2}


def test_an_object_of_an_unknown_package_is_a_record_of_its_settings() -> None:
    pickled = dumps(Call("analysis.base.ModelConfig", 3, state={"width": 13}))
    found = read_pickle(pickled, where="x")
    assert isinstance(found, Inert)
    assert isinstance(found.callee, Named)
    assert str(found.callee) == "analysis.base.ModelConfig"
    assert found.args == (3,)
    assert found.state == {"width": 13}
    assert "analysis" not in sys.modules


def marker(path: Path) -> str:
    return f"open({str(path)!r}, 'w').close()"


ATTACKS = {
    "os.system": lambda path: Call("os.system", f"touch {path}"),
    "posix.system": lambda path: Call("posix.system", f"touch {path}"),
    "nt.system": lambda path: Call("nt.system", f"type nul > {path}"),
    "builtins.eval": lambda path: Call("builtins.eval", marker(path)),
    "builtins.exec": lambda path: Call("builtins.exec", marker(path)),
    "__builtin__.exec": lambda path: Call("__builtin__.exec", marker(path)),
    "builtins.getattr": lambda path: Call("builtins.getattr", Global("os.path"), "join"),
    "builtins.__import__": lambda path: Call("builtins.__import__", "os"),
    "subprocess.Popen": lambda path: Call("subprocess.Popen", ["touch", str(path)]),
    "runpy._run_code": lambda path: Call("runpy._run_code", marker(path), {}),
    "pickle.loads": lambda path: Call("pickle.loads", "cos\nsystem\n."),
    "importlib.import_module": lambda path: Call("importlib.import_module", "antigravity"),
    "operator.attrgetter": lambda path: Call("operator.attrgetter", "__globals__"),
    "functools.partial": lambda path: Call("functools.partial", Global("os.system"), "true"),
    "torch.load": lambda path: Call("torch.load", str(path)),
    "torch.hub.load": lambda path: Call("torch.hub.load", "someone/repo", "model"),
    "torch.utils.collect_env.run": lambda path: Call(
        "torch.utils.collect_env.run", f"touch {path}"
    ),
    "torch._utils._rebuild_wrapper_subclass": lambda path: Call(
        "torch._utils._rebuild_wrapper_subclass", Global("builtins.eval")
    ),
    "torch.storage._load_from_bytes": lambda path: Call("torch.storage._load_from_bytes", "x"),
    "numpy.load": lambda path: Call("numpy.load", str(path)),
    "numpy.testing._private.utils.runstring": lambda path: Call(
        "numpy.testing._private.utils.runstring", marker(path), {}
    ),
}


def hiding_places(evil: Call) -> dict[str, Any]:
    return {
        "alone": evil,
        "weight": {"state_dict": {"weight": evil}},
        "nested": {"hyper_parameters": [1, (2, evil)]},
        "state": Call("analysis.base.ModelConfig", state={"hidden": evil}),
        "argument": Call("analysis.base.ModelConfig", evil),
        "tensor": Call("torch._utils._rebuild_tensor_v2", evil, 0, (1,), (1,)),
    }


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_names_code_is_refused_and_runs_nothing(
    tmp_path: Path, attack: str, protocol: int
) -> None:
    path = tmp_path / "ran"
    for hidden in hiding_places(ATTACKS[attack](path)).values():
        pickled = dumps(hidden, protocol=protocol)
        with pytest.raises(DataError, match=r"evil\.ckpt: refused, for it names"):
            read_pickle(pickled, where="evil.ckpt")
    assert not path.exists()


def test_a_name_put_together_on_the_stack_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "ran"
    command = f"touch {path}".encode()
    pickled = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([len(command)]) + command
    pickled += b"\x85R."
    assert [op.name for op, _, _ in pickletools.genops(pickled)][3] == "STACK_GLOBAL"
    with pytest.raises(DataError, match=r"names posix\.system"):
        read_pickle(pickled, where="x")
    assert not path.exists()


@pytest.mark.parametrize(
    ("opcode", "pickled"),
    {
        "INST": b"(S'true'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'true'\no.",
        "EXT1": b"\x80\x02\x82\x01.",
        "NEWOBJ_EX": b"\x80\x04)}\x92.",
        "PERSID": b"Pabc\n.",
        "READONLY_BUFFER": b"\x80\x05\x98.",
    }.items(),
)
def test_opcodes_that_no_model_file_uses_are_refused(opcode: str, pickled: bytes) -> None:
    with pytest.raises(DataError, match="refused"):
        read_pickle(pickled, where="x")


def test_an_unknown_package_is_never_imported(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "trap_package.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = read_pickle(dumps(Call("trap_package.run", 1, state={"a": 2})), where="x")
    assert isinstance(found, Inert)
    assert "trap_package" not in sys.modules


@pytest.mark.parametrize(
    "pickled",
    {
        "empty": b"",
        "cut off": pickle.dumps({"a": [1, 2, 3]}, 2)[:-3],
        "nothing on the stack": b"\x80\x02.",
        "no mark": b"\x80\x02t.",
        "unknown memo": b"\x80\x02h\x07.",
        "items of a number": b"\x80\x02K\x01K\x01K\x01s.",
        "call of a number": b"\x80\x02K\x01)R.",
        "state of a list": b"\x80\x02]}b.",
        "list as a key": b"\x80\x02}]K\x01s.",
        "no pickle": b"genotypes,traits\n1,2\n",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_damaged_pickle_is_one_clear_error(pickled: tuple[str, bytes]) -> None:
    with pytest.raises(DataError, match=r"^x: "):
        read_pickle(pickled[1], where="x")


def test_a_deeply_nested_key_does_not_overflow_the_stack() -> None:
    pickled = b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s."
    with pytest.raises(DataError, match="tuple as a key"):
        read_pickle(pickled, where="x")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_data_error(pickled: bytes) -> None:
    with contextlib.suppress(DataError):
        read_pickle(b"\x80\x02" + pickled, where="x")
