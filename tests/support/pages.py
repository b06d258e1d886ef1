"""The fenced blocks of a page of the documentation, run in their order.

====================  ==========================================================================
block                 what is done with it
====================  ==========================================================================
``title="NAME"``      written to the file NAME of the page's folder
``python``            executed; the blocks of a page share their names
``sh``                carried out, ``crosstrait`` in this process and the rest by bash
``output``            compared with what the block before printed; ``...`` stands for anything
``toml``              read as an experiment; a table alone is completed by the smallest others
====================  ==========================================================================

``<!-- not run: REASON -->`` before a block keeps it from being run.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sybil import Document, Region, Sybil
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from crosstrait.cli import run_command
from crosstrait.experiments.file import parse_experiment

_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->\s*\Z")
_BY_BASH = re.compile(r"[|><&;$*]")
_SMALLEST: dict[str, Any] = {"data": {"panel": "byxrm"}, "model": [{"type": "ridge"}]}
_TABLES = {"data", "split", "train", "tune", "model"}
_SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Block:
    """One fenced block."""

    path: Path
    line: int
    info: str
    source: str
    not_run: str | None

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def title(self) -> str | None:
        match = _TITLE.search(self.info)
        return match[1] if match else None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def _fenced(document: Document) -> Iterable[Region]:
    for region in RawFencedCodeBlockLexer(re.compile(r"(?P<info>[^\n]*)\n"))(document):
        region.parsed, region.evaluator = region.lexemes["source"], lambda _: None
        yield region


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, from top to bottom."""
    document = Sybil(parsers=[_fenced], path=str(path.parent)).parse(path)
    found = []
    for example in document:
        before = _NOT_RUN.search(document.text[: example.start])
        found.append(
            Block(
                path=path,
                line=example.line,
                info=example.region.lexemes["info"],
                source=str(example.parsed),
                not_run=before["reason"] if before else None,
            )
        )
    return found


@dataclass
class Reader:
    """Somebody who does what a page says, in the current folder."""

    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    printed: str = ""
    failed: str | None = None

    def follow(self, page: Path) -> None:
        """Do all that a page says; raise for the first block that does not do as it says."""
        for block in blocks(page):
            if self.failed and block.language != "output":
                break
            try:
                self._do(block)
            except BaseException as error:
                error.add_note(f"{block}")
                raise
        assert self.failed is None, f"{self.failed}, and no output block says so: {self.printed}"

    def _do(self, block: Block) -> None:
        if block.language == "toml":
            self._read(block)
        if block.not_run is not None:
            return
        if block.title is not None:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.source)
        elif block.language == "python":
            code = compile("\n" * block.line + block.source, str(block.path), "exec")
            with self._listening():
                exec(code, self.names)
        elif block.language == "sh":
            with self._listening():
                for line in block.source.replace("\\\n", " ").splitlines():
                    self._carry_out(line, block)
        elif block.language == "output":
            self._compare(block)

    def _read(self, block: Block) -> None:
        values = tomllib.loads(block.source)
        if _TABLES & set(values):
            parse_experiment(
                {**_SMALLEST, **values}, name="page", folder=Path.cwd(), where=str(block)
            )

    def _carry_out(self, line: str, block: Block) -> None:
        words = shlex.split(line, comments=True)
        if not words:
            return
        if words[0] != "crosstrait" or _BY_BASH.search(line.partition(" #")[0]):
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-ec", line],
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                timeout=120,
            )
            print(done.stdout + done.stderr)
            code = done.returncode
        else:
            # To start processes takes longer than these trainings do.
            own = ["--workers", "1"] if words[1] == "run" and "--workers" not in words else []
            code = run_command([*words[1:], *own])
        if code:
            self.failed = f"{block}: {line!r} ended with exit code {code}"

    def _compare(self, block: Block) -> None:
        self.failed = None
        checker = doctest.OutputChecker()
        if not checker.check_output(block.source, self.printed, _SAME):
            raise AssertionError(
                f"{block}: the page says\n{block.source}\nprinted was\n{self.printed}"
            )

    @contextlib.contextmanager
    def _listening(self) -> Any:
        with io.StringIO() as heard:
            try:
                with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
                    yield
            finally:
                self.printed = heard.getvalue()
