"""Read a pickle as data: an interpreter of its opcodes that has nothing to call.

Python's own unpickler runs whatever callable a file names. This one knows the dozen containers
and scalars that a model file is made of; everything a file would construct becomes an `Inert`
record of the name and its arguments.
"""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crosstrait.errors import DataError


@dataclass(frozen=True, eq=False)
class Named:
    """A class or function that the file names; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Inert:
    """What the file would have constructed by calling ``callee``."""

    callee: Named
    args: tuple[Any, ...]
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Persistent:
    """A reference to something stored outside the pickle, such as the bytes of a tensor."""

    key: Any


# What model files legitimately name from the libraries that can harm. Names of any other
# package are kept as inert records, such as the settings classes of the published code.
_HARMLESS = {
    "argparse": {"Namespace"},
    "builtins": {"set", "frozenset", "bytearray", "complex", "dict", "list", "tuple", "object"},
    "collections": {"OrderedDict", "defaultdict"},
    "copyreg": {"_reconstructor"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "numpy.core.multiarray": {"scalar", "_reconstruct"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "torch": {"Size", "device"}
    | {"bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "uint8"}
    | {f"{kind}Storage" for kind in ("BFloat16", "Bool", "Byte", "Char", "Double", "Float")}
    | {f"{kind}Storage" for kind in ("Half", "Int", "Long", "Short")},
    "torch._utils": {"_rebuild_parameter", "_rebuild_tensor_v2"},
}
_GUARDED = sys.stdlib_module_names | {"__builtin__", "nt", "numpy", "posix", "torch"}

_SCALAR_KEYS = (str, bytes, int, float, type(None))
_MARK = object()


def read_pickle(data: bytes, *, where: str) -> Any:
    """Return the containers, scalars and `Inert` records that a pickle describes.

    Parameters
    ----------
    data
        The pickle.
    where
        What to call it in messages.

    Raises
    ------
    DataError
        If it is damaged, uses an opcode that no model file needs, or names a function of the
        standard library, numpy or torch beyond those that hold weights.
    """
    try:
        return _Machine().run(data)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: damaged pickle ({error})") from None


class _Machine:
    """The pickle virtual machine, less everything that calls, imports or sets attributes."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name in _PUSHED:
                self.stack.append(argument)
            elif opcode.name in _FRESH:
                self.stack.append(_FRESH[opcode.name]())
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            elif opcode.name not in ("FRAME", "PROTO"):
                raise DataError(f"refused, for no model file uses the opcode {opcode.name}")
        raise DataError("damaged pickle (no end)")

    def since_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def remember(self, at: int | None) -> None:
        self.memo[len(self.memo) if at is None else at] = self.stack[-1]

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[len(self.stack) - count :])
        if len(items) != count:
            raise IndexError("short stack")
        self.stack[len(self.stack) - count :] = [items]

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):  # an unknown kind of mapping
            target = target.state
        if type(target) is not dict:
            raise TypeError("items of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Tuples as keys are refused: hashing a deeply nested one overflows the C stack.
            if not isinstance(key, (*_SCALAR_KEYS, Inert, Named)):
                raise TypeError(f"a {type(key).__name__} as a key")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            return
        if type(target) is not list:
            raise TypeError("items of something that is no list")
        target.extend(items)

    def named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        guarded = module.split(".")[0] in _GUARDED
        if guarded and name not in _HARMLESS.get(module, ()):
            raise DataError(
                f"refused, for it names {module}.{name}, which no file of weights needs: "
                "do not open this file with anything that unpickles it"
            )
        self.stack.append(Named(module, name))

    def construct(self) -> None:
        args, callee = self.stack.pop(), self.stack.pop()
        if not (isinstance(callee, Named) and isinstance(args, tuple)):
            raise TypeError("a call of something that is no name")
        ordered = str(callee) == "collections.OrderedDict" and not args
        self.stack.append({} if ordered else Inert(callee, args))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Inert) and isinstance(state, dict):
            target.state.update(state)
        elif not isinstance(target, (Inert, dict)):  # attributes of a dict are of no use here
            raise TypeError(f"a state for a {type(target).__name__}")

    def global_(self, argument: str) -> None:
        self.named(*argument.split(" ", 1))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.named(module, name)


_FRESH: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "NONE": lambda: None,
}
_PUSHED = {
    *("BINBYTES", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINUNICODE", "LONG1", "LONG4"),
    *("SHORT_BINBYTES", "SHORT_BINUNICODE"),
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "BINGET": lambda machine, at: machine.stack.append(machine.memo[at]),
    "BINPERSID": lambda machine, _: machine.stack.append(Persistent(machine.stack.pop())),
    "BINPUT": lambda machine, at: machine.remember(at),
    "BUILD": lambda machine, _: machine.build(),
    "GLOBAL": lambda machine, argument: machine.global_(argument),
    "LONG_BINGET": lambda machine, at: machine.stack.append(machine.memo[at]),
    "LONG_BINPUT": lambda machine, at: machine.remember(at),
    "MEMOIZE": lambda machine, _: machine.remember(None),
    "NEWOBJ": lambda machine, _: machine.construct(),
    "REDUCE": lambda machine, _: machine.construct(),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "STACK_GLOBAL": lambda machine, _: machine.stack_global(),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
}
