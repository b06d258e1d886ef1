"""A real HTTP server on loopback that misbehaves as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(kw_only=True)
class Answer:
    """How to answer one request."""

    body: bytes = b""
    status: int = 200
    etag: str | None = '"1"'
    break_after: int | None = None  # close the connection after so many bytes
    stall_after: int | None = None  # fall silent after so many bytes
    lie: int = 0  # added to the true Content-Length
    no_length: bool = False
    ranges: bool = True  # honour Range and If-Range
    ignore_if_range: bool = False
    wrong_range: bool = False  # answer 206 with another part than was asked for
    redirect: str | None = None
    encoding: str | None = None


@dataclass
class Site:
    """What the server serves, and what it was asked.

    Each path has a list of answers; the last one is given again and again.
    """

    address: str
    pages: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, *answers: Answer) -> str:
        self.pages[path] = list(answers)
        return self.address + path

    def requests(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.asked if asked == path]


@contextmanager
def bad_server() -> Iterator[Site]:
    """Run a server for the length of a ``with`` block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            answers = site.pages.get(self.path) or [Answer(status=404)]
            self.give(answers.pop(0) if len(answers) > 1 else answers[0])

        def give(self, answer: Answer) -> None:
            body, status, start = answer.body, answer.status, 0
            asked = self.headers.get("Range")
            fresh = answer.ignore_if_range or self.headers.get("If-Range") == answer.etag
            if asked and answer.ranges and fresh and status == 200:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                status = 206 if start < len(body) else 416
                if answer.wrong_range:
                    start //= 2
                body = body[start:] if status == 206 else b""
            self.send_response(302 if answer.redirect else status)
            self.send_header("Connection", "close")
            if answer.redirect:
                self.send_header("Location", answer.redirect)
            if answer.etag:
                self.send_header("ETag", answer.etag)
            if answer.encoding:
                self.send_header("Content-Encoding", answer.encoding)
            if status == 206:
                self.send_header(
                    "Content-Range",
                    f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}",
                )
            if not answer.no_length:
                self.send_header("Content-Length", str(len(body) + answer.lie))
            self.end_headers()
            stop = answer.break_after if answer.stall_after is None else answer.stall_after
            self.wfile.write(body[:stop])
            self.wfile.flush()
            if answer.stall_after is not None:
                site.closing.wait(20)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        block_on_close = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that gave up on a stalled answer

    with Server(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join()


def closed_address() -> str:
    """Return an address where nothing listens."""
    with bad_server() as site:
        address = site.address
    return address
