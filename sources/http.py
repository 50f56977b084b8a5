"""One HTTP server that a source reads from: login, TLS, bounded retries, whole answers or none. What the answers mean
belongs to the source.

Secrets never reach a message: URLs are shown without user and query, and known secrets are blotted out of whatever a
server or library says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from sources import login
from warehouse.errors import ConfigError, SourceError
from warehouse.settings.sources import AuthSettings

if TYPE_CHECKING:
    import httpx
    import tenacity

Answer = TypeVar("Answer")

BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 120.0
TRICKLE = 10
"""One answer may take this many times `timeout_seconds` in all, so that a server cannot hold a run by sending a byte
now and then."""
UNCOMPRESSED = "identity"
"""Prometheus spends most of a large answer's time on gzip: 440,000 samples/s came plain and 130,000 compressed, on
loopback."""
MAX_JSON_BYTES = 256 * 2**20
LONG_QUERY = 2000
PASSING = frozenset({429, 500, 502, 503, 504})


class ServerError(SourceError):
    """A server refused or failed. `status` is its HTTP status (None when no answer came), `kind` the `errorType` of
    its JSON answer."""

    def __init__(self, message: str, *, status: int | None = None, kind: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after


class BrokenAnswerError(SourceError):
    """An answer ended before it was whole, or is not what its type promises; asking again may mend it."""


class HttpServer:
    """A base URL with its login, to be used as a context manager.

    source: key of the source, for messages. timeout_seconds: for connecting and between two pieces of an answer.
    max_attempts: tries per request, the first included. Raises ConfigError when a certificate cannot be loaded or a
    secret cannot be sent."""

    def __init__(self, source: str, url: str, auth: AuthSettings, *, timeout_seconds: float, max_attempts: int) -> None:
        import httpx

        self.source = source
        self.timeout_seconds = timeout_seconds
        self.max_attempts = max_attempts
        self.bytes_read = 0
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise ConfigError(f"sources.{source}.url is not a URL; write it as http://host:port") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError(f"sources.{source}.url must begin with http:// or https:// and name a host")
        self._secrets = login.secrets(auth, parsed.password)
        self.url = str(parsed.copy_with(username=None, password=None, query=None, fragment=None)).rstrip("/")
        basic = login.basic(source, auth) or (httpx.BasicAuth(parsed.username, parsed.password) if parsed.username else None)
        headers = {"Accept-Encoding": UNCOMPRESSED, **login.bearer(source, auth)}
        self._client = httpx.Client(auth=basic, headers=headers, timeout=timeout_seconds, verify=login.tls_context(source, auth))

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def json(self, path: str, params: dict[str, str] | None = None) -> Any:
        """GET `path` below the base URL and parse the JSON answer (at most 256 MiB). Raises ServerError,
        BrokenAnswerError."""

        def whole(pieces: Iterator[bytes]) -> Any:
            body = bytearray()
            for piece in pieces:
                body += piece
                if len(body) > MAX_JSON_BYTES:
                    raise SourceError(f"{self._where(path)} sent over {MAX_JSON_BYTES >> 20} MiB; this is not an answer to {path}")
            try:
                return orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise BrokenAnswerError(f"{self._where(path)} did not send whole JSON: {error}") from None

        return self.read(path, params or {}, whole)

    def read(
        self,
        path: str,
        params: dict[str, str],
        consume: Callable[[Iterator[bytes]], Answer],
        *,
        final: frozenset[str] = frozenset(),
    ) -> Answer:
        """Ask, and give the pieces of the body to `consume`, whose result is returned.

        The request is repeated, with `consume` starting anew, when the server is busy or failing (429, 5xx), too
        slow, gone, or stops in the middle, and when `consume` raises BrokenAnswerError; at most `max_attempts` times,
        with growing pauses or as long as `Retry-After` says. A refusal whose `errorType` is in `final` is not
        repeated. Raises ServerError with the last failure, or whatever else `consume` raises."""
        import tenacity

        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.max_attempts),
            retry=tenacity.retry_if_exception(lambda error: _may_pass(error, final)),
            wait=_pause,
            reraise=True,
        )
        answer: Answer = tries(self._once, path, params, consume)
        return answer

    def _once(self, path: str, params: dict[str, str], consume: Callable[[Iterator[bytes]], Answer]) -> Answer:
        import httpx

        long = sum(len(key) + len(value) for key, value in params.items()) > LONG_QUERY
        query: dict[str, Any] = {"method": "POST", "data": params} if long else {"method": "GET", "params": params}
        try:
            with self._client.stream(url=self.url + path, **query) as response:
                if not response.is_success:
                    raise self._refused(path, response)
                return consume(self._pieces(path, response))
        except httpx.TimeoutException:
            raise ServerError(f"{self._where(path)} did not answer within {self.timeout_seconds:g} s; raise timeout_seconds") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = self._blot(f"{type(error).__name__}: {error}")
            raise ServerError(f"{self._where(path)} broke off or cannot be reached ({reason})") from None

    def _pieces(self, path: str, response: httpx.Response) -> Iterator[bytes]:
        end = time.monotonic() + TRICKLE * self.timeout_seconds
        for piece in response.iter_bytes():
            if time.monotonic() > end:
                raise ServerError(f"{self._where(path)} sent too slowly: not done after {TRICKLE * self.timeout_seconds:g} s")
            self.bytes_read += len(piece)
            yield piece

    def _refused(self, path: str, response: httpx.Response) -> ServerError:
        import httpx

        body = b""
        with contextlib.suppress(httpx.HTTPError):
            for piece in response.iter_bytes():
                body += piece
                if len(body) > 100_000:
                    break
        kind, said = _said(body)
        detail = self._blot(said)
        advice = {401: "; check its auth", 403: "; its login may not read this", 404: "; check its url"}.get(response.status_code, "")
        if response.is_redirect:
            advice = "; it redirects: give the final address as url"
        wait = _retry_after(response.headers.get("Retry-After"))
        if wait is not None and wait > MAX_RETRY_AFTER_SECONDS:
            advice = f"; it asks to wait {wait:.0f} s: run again then"
        message = f"{self._where(path)} answered {response.status_code}{': ' + detail if detail else ''}{advice}"
        return ServerError(message, status=response.status_code, kind=kind, retry_after=wait)

    def _where(self, path: str) -> str:
        return f"source {self.source}: {self.url}{path}"

    def _blot(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:500]


def _said(body: bytes) -> tuple[str, str]:
    """The `errorType` and `error` of a JSON answer, else nothing and the beginning of the body on one line."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        for key in ("error", "message"):
            if isinstance(document.get(key), str):
                return str(document.get("errorType", "")), str(document[key])[:400]
    return "", " ".join(body[:400].decode("utf-8", "replace").split())


def _retry_after(header: str | None) -> float | None:
    """Seconds that `Retry-After` asks for: a number or an HTTP date (RFC 9110, 10.2.3); None when absent or
    unreadable."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _may_pass(error: BaseException, final: frozenset[str]) -> bool:
    if isinstance(error, BrokenAnswerError):
        return True
    if not isinstance(error, ServerError) or error.kind in final or (error.retry_after or 0) > MAX_RETRY_AFTER_SECONDS:
        return False
    return error.status is None or error.status in PASSING


def _pause(state: tenacity.RetryCallState) -> float:
    """What `Retry-After` asks for, else an exponential backoff with jitter."""
    import tenacity

    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ServerError) and error.retry_after is not None:
        return error.retry_after
    return tenacity.wait_random_exponential(multiplier=BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS)(state)
