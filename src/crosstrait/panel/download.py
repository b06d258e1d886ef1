"""Fetch a file over HTTP so that only the right bytes ever carry its name."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import urllib3

from crosstrait.errors import DownloadError, StorageError
from crosstrait.panel.checksum import Checksum

if TYPE_CHECKING:
    from rich.progress import Progress

_BLOCK = 1 << 16
_MOST_JSON = 16 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, and how often to come back.

    Attributes
    ----------
    stall_seconds
        Silence after which a connection counts as stalled, while connecting and between bytes.
    tries
        Connections made before giving up. Only a fault that may pass (a broken-off or stalled
        transfer, a refused connection, status 429 or 5xx) is tried again.
    backoff_seconds
        Pause before the second try; each further pause is twice as long.
    """

    stall_seconds: float = 30.0
    tries: int = 4
    backoff_seconds: float = 1.0


PATIENT = Patience()


class _PassingError(Exception):
    """A fault that another try may not meet."""


def download(
    url: str,
    *,
    to: Path,
    checksum: Checksum,
    patience: Patience = PATIENT,
    progress: Progress | None = None,
) -> Path:
    """Fetch ``url`` to the file ``to``, which exists afterwards only if it is the right one.

    Bytes gather in ``<to>.part``. A transfer that breaks off is continued from there, in this call
    or a later one, where the server can tell that the file has not changed since (HTTP ``Range``
    with ``If-Range``); otherwise it starts again. The file gets its name, in one step, once its
    checksum is right.

    Parameters
    ----------
    url
        An ``http`` or ``https`` address; redirects are followed.
    to
        The file to write; its folder is made. Two processes must not fetch to one file at the
        same time: the caller holds a lock.
    checksum
        What the file must hash to.
    patience
        Time-outs and retries.
    progress
        A running ``rich`` progress display to add a line to.

    Returns
    -------
    Path
        ``to``.

    Raises
    ------
    DownloadError
        If the server cannot be reached, answers with an error, breaks off or stalls at every
        try, or sends other bytes. Wrong bytes are deleted.
    StorageError
        If the file cannot be written.
    """
    part = _Part(to)
    line = None if progress is None else progress.add_task(to.name, total=None)

    def show(done: int, total: int | None) -> None:
        if progress is not None and line is not None:
            progress.update(line, completed=done, total=total)

    def attempt() -> Path:
        continued = True
        while continued:
            continued = _transfer(url, part, patience, show)
            found = checksum.of(part.path)
            if found == checksum.hexdigest:
                return part.finish()
            size = part.path.stat().st_size
            part.discard()
            # A continued file may have been made of two versions: take it whole, once.
        raise DownloadError(
            f"{to.name} from {url} is not the expected file: its {checksum.algorithm} should be "
            f"{checksum.hexdigest} but is {found}; the {size:,} bytes that came were deleted"
        )

    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        return _persist(attempt, url, patience)
    except (DownloadError, StorageError):
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or part.path}: {error.strerror or error}; free some "
            f"space, or name another folder in CROSSTRAIT_CACHE"
        ) from error


def read_json(url: str, *, patience: Patience = PATIENT) -> Any:
    """Fetch a small JSON document.

    Raises
    ------
    DownloadError
        If it cannot be fetched or is no JSON.
    """

    def attempt() -> Any:
        with _answer(url, {}, patience) as response:
            body = b""
            for block in _blocks(response, patience):
                body += block
                if len(body) > _MOST_JSON:
                    raise DownloadError(f"{url} answered with more than {_MOST_JSON:,} bytes")
        _check_length(response, len(body))
        try:
            return json.loads(body)
        except ValueError as error:
            raise DownloadError(f"{url} did not answer with JSON: {error}") from None

    return _persist(attempt, url, patience)


def _persist(attempt: Callable[[], _T], url: str, patience: Patience) -> _T:
    pause = patience.backoff_seconds
    for left in range(patience.tries - 1, -1, -1):
        try:
            return attempt()
        except _PassingError as fault:
            if not left:
                raise DownloadError(
                    f"{url} could not be fetched in {patience.tries} tries; the last time "
                    f"{fault}; try again later"
                ) from None
        time.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable: patience.tries >= 1")


def _transfer(
    url: str, part: _Part, patience: Patience, show: Callable[[int, int | None], None]
) -> bool:
    """Bring ``part`` to its end; say whether it continues an earlier transfer."""
    start, validator = part.begun(url)
    asked = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
    with _answer(url, asked, patience) as response:
        if start and response.status_code == 416:
            return True  # nothing lies beyond what is here: it may be the whole
        if response.status_code == 206:
            if not (start and _continues(response, start, validator)):
                part.discard()
                raise _PassingError("it sent another part than the one asked for")
        else:
            start = 0
            part.begin(url, _validator(response))
        length = _length(response)
        total = None if length is None else start + length
        received = 0
        show(start, total)
        with part.path.open("ab") as sink:
            for block in _blocks(response, patience):
                sink.write(block)
                received += len(block)
                show(start + received, total)
        _check_length(response, received)
    return start > 0


@contextmanager
def _answer(url: str, asked: dict[str, str], patience: Patience) -> Iterator[requests.Response]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "crosstrait"} | asked
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=patience.stall_seconds)
    except requests.Timeout:
        raise _PassingError(f"it did not answer within {patience.stall_seconds:g} s") from None
    except requests.ConnectionError as error:
        raise _PassingError(f"the connection failed ({_root(error)})") from None
    except requests.RequestException as error:
        raise DownloadError(f"{url} cannot be fetched: {error}") from None
    with response:
        status = f"it answered {response.status_code} {response.reason}"
        if response.status_code == 429 or response.status_code >= 500:
            raise _PassingError(status)
        if response.status_code not in ({200, 206, 416} if asked else {200}):
            raise DownloadError(f"{url} cannot be fetched: {status}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError(
                f"{url} came as {response.headers['Content-Encoding']} although it was asked for "
                f"as it is stored; a proxy may be rewriting it"
            )
        yield response


def _blocks(response: requests.Response, patience: Patience) -> Iterator[bytes]:
    response.raw.enforce_content_length = False  # _check_length says both numbers
    try:
        while block := response.raw.read1(_BLOCK, decode_content=False):
            yield block
    except urllib3.exceptions.ReadTimeoutError:
        raise _PassingError(f"it stalled: no byte for {patience.stall_seconds:g} s") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _PassingError(f"it broke off ({_root(error)})") from None


def _length(response: requests.Response) -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else None


def _check_length(response: requests.Response, received: int) -> None:
    stated = _length(response)
    if stated is not None and stated != received:
        raise _PassingError(f"it announced {stated:,} bytes and sent {received:,}")


def _validator(response: requests.Response) -> str:
    """Return what identifies this version of the file to the server, if anything does."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):  # RFC 9110 13.1.5: If-Range takes no weak tag
        return str(tag)
    return str(response.headers.get("Last-Modified", ""))


def _continues(response: requests.Response, start: int, validator: str) -> bool:
    span = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    same = _validator(response) in {"", validator}
    return bool(span) and int(span[1]) == start and same if span else False


def _root(error: BaseException) -> str:
    """Return the innermost reason, which the libraries wrap several times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Part:
    """The bytes that have come so far, with a note of which file they are of."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.path = to.with_name(f"{to.name}.part")
        self.note = to.with_name(f"{to.name}.part.json")

    def begun(self, url: str) -> tuple[int, str]:
        """Return how many bytes of ``url`` are here and the server's mark of their version."""
        try:
            size = self.path.stat().st_size
            note = json.loads(self.note.read_text())
            if note["url"] == url and note["validator"]:
                return size, str(note["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def begin(self, url: str, validator: str) -> None:
        self.discard()
        self.note.write_text(json.dumps({"url": url, "validator": validator}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self) -> Path:
        with self.path.open("rb") as written:
            os.fsync(written.fileno())
        self.path.replace(self.to)
        self.note.unlink(missing_ok=True)
        return self.to
