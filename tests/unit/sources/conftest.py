"""A small HTTP server that does what a test tells it to, also what no real server does on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

Params = dict[str, str]
Reply = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request, and ways to answer it."""

    path: str
    params: Params
    headers: dict[str, str]
    handler: BaseHTTPRequestHandler

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        self.begin(len(body), status, headers)
        self.handler.wfile.write(body)

    def begin(self, length: int, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """The head of an answer that promises `length` bytes."""
        self.handler.send_response(status)
        for name, value in {"Content-Length": str(length), **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def half(self, body: bytes) -> None:
        """The promise of a whole body and half of it."""
        self.begin(len(body))
        self.handler.wfile.write(body[: len(body) // 2])
        self.handler.close_connection = True


@dataclass
class Stub:
    """What was asked, and what is answered: the replies in turn, the last one again and again."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    asked: list[Exchange] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Paths in the order in which they were asked for."""
        return [exchange.path for exchange in self.asked]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server on a free port of 127.0.0.1, for one test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            query = urlsplit(self.path).query or self.rfile.read(size).decode()
            params = {key: values[0] for key, values in parse_qs(query).items()}
            exchange = Exchange(urlsplit(self.path).path, params, dict(self.headers), self)
            served.asked.append(exchange)
            reply = served.replies.pop(0) if len(served.replies) > 1 else served.replies[0]
            reply(exchange)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Stub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(10)
