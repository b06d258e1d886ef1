"""Reading a booster's text as that of a stranger: LightGBM itself trusts it.

Where sizes or indices in the text are wrong, LightGBM ends the process, reads memory that is not
its own or runs in circles. Here only what this package's boosters consist of is let through:
numeric splits, constant leaves, children that come after their parents.
"""

from __future__ import annotations

import re

from crosstrait.errors import StorageError

_END = "end of trees"
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_INFO = re.compile(rf"none|\[{_NUMBER}:{_NUMBER}\]")
_HEADER = {
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "objective": "regression",
}
# A tree of n leaves has n - 1 values of each of these,
_SPLITS = {
    "split_feature": int,
    "split_gain": float,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
    "internal_value": float,
    "internal_weight": float,
    "internal_count": int,
}
# and n of these; a tree of one leaf may leave out all but its value.
_LEAVES = {"leaf_value": float, "leaf_weight": float, "leaf_count": int}
_CONSTANT = {"num_cat": "0", "is_linear": "0"}


def trees_alone(text: str) -> str:
    """Return a booster's text without what stands after its trees, which predicts nothing."""
    trees, end, _ = text.partition(_END)
    return trees + end + "\n"


def check_booster(text: str) -> None:
    """Refuse a text that LightGBM would not have written for a regression on numbers.

    Raises
    ------
    StorageError
        With the first thing that is wrong.
    """
    header, blank, rest = text.partition("\n\n")
    first, _, lines = header.partition("\n")
    _require(first == "tree" and bool(blank), "a header")
    fields = _fields(lines)
    for name, value in _HEADER.items():
        _require(fields.pop(name, None) == value, f"{name}={value}")
    sizes = [int(_number(size, int)) for size in fields.pop("tree_sizes", "").split()]
    n_features = int(_number(fields.pop("max_feature_idx", ""), int)) + 1
    names, infos = (fields.pop(name, "").split(" ") for name in ("feature_names", "feature_infos"))
    _require(not fields, "known fields of the header")
    _require(names == [f"Column_{j}" for j in range(len(names))], "plain names of the columns")
    _require(len(names) == len(infos) == n_features, "as many columns as it says")
    _require(all(_INFO.fullmatch(info) for info in infos), "ranges of the columns")
    start = 0
    for i, size in enumerate(sizes):
        block = rest[start : start + size]
        _require(size > 0 and block.startswith(f"Tree={i}\n"), f"tree {i} in its place")
        _check_tree(_fields(block.strip("\n").partition("\n")[2]), n_features)
        start += size
    _require(rest[start:].strip("\n").partition("\n")[0] == _END, "the end of the trees")


def _check_tree(fields: dict[str, str], n_features: int) -> None:
    n_leaves = int(_number(fields.pop("num_leaves", ""), int))
    _require(n_leaves >= 1, "trees with leaves")
    for name, value in _CONSTANT.items():
        _require(fields.pop(name, None) == value, f"trees with {name}={value}")
    _number(fields.pop("shrinkage", ""), float)
    values: dict[str, list[float]] = {}
    for kinds, count in ((_SPLITS, n_leaves - 1), (_LEAVES, n_leaves)):
        for name, kind in kinds.items():
            values[name] = [_number(word, kind) for word in fields.pop(name, "").split()]
            absent = n_leaves == 1 and name != "leaf_value" and not values[name]
            _require(len(values[name]) == count or absent, f"{count} values of {name}")
    _require(not fields, "known fields of its trees")
    _require(all(0 <= j < n_features for j in values["split_feature"]), "columns that are there")
    # 2: a numeric split whose missing values go left; further bits say how zeros and NaN do.
    _require(all(0 <= kind < 16 and not kind % 2 for kind in values["decision_type"]), "splits")
    children = [values["left_child"], values["right_child"]]
    for side in children:
        after = all(-n_leaves <= child < n_leaves - 1 for child in side)
        later = all(child < 0 or child > parent for parent, child in enumerate(side))
        _require(after and later, "children that come after their parents")
    if n_leaves > 1:
        reached = sorted(children[0] + children[1])
        _require(reached == [*range(-n_leaves, 0), *range(1, n_leaves - 1)], "one whole tree")


def _fields(lines: str) -> dict[str, str]:
    fields = dict(line.partition("=")[::2] for line in lines.split("\n"))
    _require(len(fields) == lines.count("\n") + 1, "each field once")
    return fields


def _number(word: str, kind: type[int] | type[float]) -> float:
    wanted = r"-?\d{1,18}" if kind is int else _NUMBER
    _require(re.fullmatch(wanted, word) is not None, f"a number where it has {word[:20]!r}")
    return kind(word)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise StorageError(f"a booster of the saved trees is damaged: it does not hold {what}")
