"""How a source logs in to an HTTP server: headers, TLS, and the spellings of its secrets that must not be shown."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING

from warehouse.errors import ConfigError
from warehouse.settings.sources import AuthSettings

if TYPE_CHECKING:
    import httpx


def secrets(auth: AuthSettings, url_password: str) -> tuple[str, ...]:
    """Every spelling in which a secret could come back: itself, stripped, and as basic authentication writes it."""
    given = [s.get_secret_value() for s in (auth.bearer_token, auth.password) if s is not None] + [url_password]
    user = auth.username or ""
    basic = [base64.b64encode(f"{user}:{s}".encode()).decode() for s in given if s]
    spellings = {x for s in given + basic for x in (s, s.strip(), repr(s)[1:-1]) if x}
    return tuple(sorted(spellings, key=len, reverse=True))


def basic(source: str, auth: AuthSettings) -> httpx.BasicAuth | None:
    """Basic authentication, None when no user is given. Raises ConfigError when a token is given too."""
    import httpx

    if auth.username is None:
        return None
    if auth.bearer_token is not None:
        raise ConfigError(f"sources.{source}.auth: give bearer_token, or username and password, not both")
    return httpx.BasicAuth(auth.username, auth.password.get_secret_value() if auth.password else "")


def bearer(source: str, auth: AuthSettings) -> dict[str, str]:
    """The header of a bearer token, without the line end that a secret from a file often has. Raises ConfigError for
    one that cannot be sent."""
    if auth.bearer_token is None:
        return {}
    token = auth.bearer_token.get_secret_value().strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"sources.{source}.auth.bearer_token holds characters that cannot be sent in a header")
    return {"Authorization": f"Bearer {token}"}


def tls_context(source: str, auth: AuthSettings) -> ssl.SSLContext:
    """TLS with the given authority and client certificate. Raises ConfigError when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=auth.ca_file)
        if auth.cert_file:
            context.load_cert_chain(auth.cert_file, auth.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"sources.{source}.auth: a certificate file cannot be used ({type(error).__name__}: {error})") from None
    if not auth.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
