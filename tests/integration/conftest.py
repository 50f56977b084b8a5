"""Servers that several integration tests share: one process per session, a clean database or bucket per test."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import servers

NUMBERS = itertools.count()
BUCKET = "lakebed"


@pytest.fixture(scope="session")
def postgres_server(program: Callable[[str, str], str]) -> Iterator[str]:
    """DSN of the `postgres` database of a PostgreSQL server on loopback."""
    with servers.postgres(program("initdb", "postgresql"), program("postgres", "postgresql")) as dsn:
        yield dsn


@pytest.fixture
def postgres_dsn(postgres_server: str) -> Iterator[str]:
    """DSN (`key=value` words, password included) of an empty database of this test's own."""
    name = f"test_{next(NUMBERS)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.replace("dbname=postgres", f"dbname={name}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """An S3-compatible server on loopback."""
    with servers.s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_endpoint(s3_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """`host:port` (no TLS) of an S3 server that holds one empty bucket, `lakebed`; the credentials are in the
    environment."""
    httpx.post(f"{s3_server.url}/moto-api/reset").raise_for_status()
    httpx.put(f"{s3_server.url}/{BUCKET}").raise_for_status()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return f"127.0.0.1:{s3_server.port}"
