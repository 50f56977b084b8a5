"""The shared HTTP client: whole answers or none, bounded retries, logins, and no secret in any message."""

from __future__ import annotations

import base64
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import sources.http
from sources.http import BrokenAnswerError, HttpServer, ServerError
from warehouse.errors import ConfigError, SourceError
from warehouse.settings.sources import AuthSettings

SECRET = "s3cr3t-t0ken"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.http, "BACKOFF_SECONDS", 0.001)


def server(url: str, *, attempts: int = 3, timeout: float = 5, **auth: Any) -> HttpServer:
    return HttpServer("prod", url, AuthSettings(**auth), timeout_seconds=timeout, max_attempts=attempts)


def reply(status: int, body: bytes = b'{"ok": true}', **headers: str) -> Any:
    return lambda exchange: exchange.answer(body, status, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_or_failing_is_asked_again(stub: Any, status: int) -> None:
    stub.replies = [reply(status), reply(status), reply(200)]
    with server(stub.url) as http:
        assert http.json("/x") == {"ok": True}
    assert len(stub.asked) == 3


def test_retries_are_bounded_and_the_last_failure_is_told(stub: Any) -> None:
    stub.replies = [reply(500, b'{"status":"error","errorType":"internal","error":"TSDB not ready"}')]
    told = r"prod: .*/x answered 500: TSDB not ready"
    with server(stub.url, attempts=4) as http, pytest.raises(ServerError, match=told) as caught:
        http.json("/x")
    assert len(stub.asked) == 4
    assert (caught.value.status, caught.value.kind) == (500, "internal")


@pytest.mark.parametrize(("status", "advice"), [(401, "auth"), (403, "login"), (404, "url"), (400, "400"), (302, "redirects")])
def test_what_will_not_pass_is_not_asked_again(stub: Any, status: int, advice: str) -> None:
    stub.replies = [reply(status)]
    with server(stub.url) as http, pytest.raises(ServerError, match=advice):
        http.json("/x")
    assert len(stub.asked) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept(stub: Any, as_date: bool) -> None:
    wait = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if as_date else "1"
    stub.replies = [reply(429, Retry_After=wait), reply(200)]
    start = time.monotonic()
    with server(stub.url) as http:
        http.json("/x")
    assert 0.8 <= time.monotonic() - start < 10


def test_a_wait_beyond_all_measure_is_told_instead_of_waited(stub: Any) -> None:
    stub.replies = [reply(503, Retry_After="86400")]
    with server(stub.url) as http, pytest.raises(ServerError, match="asks to wait 86400 s"):
        http.json("/x")
    assert len(stub.asked) == 1


def test_half_a_body_is_never_taken(stub: Any) -> None:
    stub.replies = [lambda e: e.half(b'{"all": [1, 2, 3, 4, 5, 6]}')]
    with server(stub.url) as http, pytest.raises(ServerError, match="broke off"):
        http.json("/x")
    assert len(stub.asked) == 3
    stub.replies = [lambda e: e.half(b"[1]"), reply(200, b"[1, 2]")]
    with server(stub.url) as http:
        assert http.json("/x") == [1, 2]


def test_half_a_document_with_a_length_of_its_own_is_asked_again(stub: Any) -> None:
    stub.replies = [reply(200, b'{"all": [1, 2'), reply(200, b'{"all": [1, 2]}')]
    with server(stub.url) as http:
        assert http.json("/x") == {"all": [1, 2]}


def test_a_consumer_starts_anew_with_each_attempt(stub: Any) -> None:
    stub.replies = [reply(200, b"broken"), reply(200, b"whole")]

    def consume(pieces: Iterator[bytes]) -> bytes:
        body = b"".join(pieces)
        if body == b"broken":
            raise BrokenAnswerError("not whole")
        return body

    with server(stub.url) as http:
        assert http.read("/x", {}, consume) == b"whole"
        assert http.bytes_read == len(b"brokenwhole")


def test_what_the_consumer_finds_wrong_for_good_is_not_asked_again(stub: Any) -> None:
    stub.replies = [reply(200)]

    def consume(_: Iterator[bytes]) -> None:
        raise SourceError("not a matrix")

    with server(stub.url) as http, pytest.raises(SourceError, match="not a matrix"):
        http.read("/x", {}, consume)
    assert len(stub.asked) == 1


def test_a_silent_server_is_given_up_in_time(stub: Any) -> None:
    release = threading.Event()
    stub.replies = [lambda _: release.wait(30)]
    start = time.monotonic()
    with server(stub.url, attempts=2, timeout=0.2) as http, pytest.raises(ServerError, match=r"within 0\.2 s"):
        http.json("/x")
    release.set()
    assert time.monotonic() - start < 10
    assert len(stub.asked) == 2


def test_a_server_that_trickles_is_given_up_in_time(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.http, "TRICKLE", 1)
    release = threading.Event()

    def trickle(exchange: Any) -> None:
        exchange.begin(10_000)
        while not release.wait(0.02):
            try:
                exchange.handler.wfile.write(b" ")
            except OSError:
                return

    stub.replies = [trickle]
    with server(stub.url, attempts=1, timeout=0.3) as http, pytest.raises(ServerError, match="too slowly"):
        http.json("/x")
    release.set()


def test_nobody_listens() -> None:
    with server("http://127.0.0.1:1", attempts=2) as http, pytest.raises(ServerError, match="cannot be reached"):
        http.json("/x")


def test_logins_are_sent(stub: Any) -> None:
    stub.replies = [reply(200)]
    with server(stub.url, bearer_token=f"{SECRET}\n") as http:
        http.json("/x")
    with server(stub.url, username="ann", password=SECRET) as http:
        http.json("/x")
    with server(stub.url.replace("//", f"//bob:{SECRET}@")) as http:
        http.json("/x")
    basic = [base64.b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("ann", "bob")]
    assert [e.headers["Authorization"] for e in stub.asked] == [f"Bearer {SECRET}", *(f"Basic {b}" for b in basic)]


@pytest.mark.parametrize("failure", ["echo", "gone", "silent", "broken"])
@pytest.mark.parametrize("login", ["token", "password", "url"])
def test_no_secret_is_in_any_message(stub: Any, failure: str, login: str) -> None:
    release = threading.Event()

    def echo(exchange: Any) -> None:
        given = exchange.headers["Authorization"]
        plain = base64.b64decode(given.split()[1]) if "Basic" in given else b""
        exchange.answer(b"refused: " + given.encode() + b" " + plain, 403)

    replies: dict[str, Any] = {"silent": lambda _: release.wait(30), "broken": lambda e: e.half(b"x" * 10)}
    stub.replies = [replies.get(failure, echo)]
    url = "http://127.0.0.1:1" if failure == "gone" else stub.url
    auth: dict[str, Any] = {"bearer_token": SECRET} if login == "token" else {"username": "ann", "password": SECRET}
    if login == "url":
        url, auth = url.replace("//", f"//ann:{SECRET}@") + f"/p?key={SECRET}", {}
    with server(url, attempts=1, timeout=0.3, **auth) as http, pytest.raises(ServerError) as caught:
        http.json("/x", {"q": "1"})
    release.set()
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert base64.b64encode(f"ann:{SECRET}".encode()).decode() not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("ftp://host", {}),
        ("http://", {}),
        (f"http://host:{SECRET}", {}),
        ("http://host", {"bearer_token": f"{SECRET}\r\nX: 1"}),
        ("http://host", {"bearer_token": SECRET, "username": "ann"}),
        ("http://host", {"ca_file": "/nowhere/ca.pem"}),
    ],
)
def test_a_setting_that_cannot_work_is_a_configuration_error(url: str, auth: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"sources\.prod") as caught:
        server(url, **auth)
    assert SECRET not in str(caught.value)


def test_long_queries_are_posted(stub: Any) -> None:
    stub.replies = [reply(200)]
    with server(stub.url) as http:
        http.json("/x", {"query": "a" * 3000})
    (asked,) = stub.asked
    assert asked.handler.command == "POST"
    assert asked.headers["Accept-Encoding"] == "identity"
    assert asked.params == {"query": "a" * 3000}


def test_an_answer_without_end_is_refused(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.http, "MAX_JSON_BYTES", 1000)
    stub.replies = [reply(200, b"[" + b"1," * 5000 + b"1]")]
    with server(stub.url) as http, pytest.raises(SourceError, match="not an answer"):
        http.json("/x")


def test_tls_is_verified_against_the_given_authority(stub: Any, tmp_path: Path) -> None:
    """A certificate of an authority that is not given is refused; the message names the trouble."""
    trusted = server("https://127.0.0.1:1", attempts=1, verify=False)
    with trusted as http, pytest.raises(ServerError, match="cannot be reached"):
        http.json("/x")
    empty = tmp_path / "ca.pem"
    empty.write_text("not a certificate")
    with pytest.raises(ConfigError, match="certificate"):
        server("https://host", ca_file=str(empty))
