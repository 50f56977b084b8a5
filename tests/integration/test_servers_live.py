"""The shared servers themselves: they answer, are clean for each test, and are gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
import servers

from warehouse.lake import scratch
from warehouse.settings import LakeSettings

pytestmark = pytest.mark.server


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database(postgres_dsn: str, turn: int) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("CREATE TABLE left_behind (turn int)")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_bucket(s3_endpoint: str, turn: int) -> None:
    connection = scratch(LakeSettings(s3_endpoint=s3_endpoint, s3_use_ssl=False))
    assert connection.execute("SELECT count(*) FROM glob('s3://lakebed/**')").fetchone() == (0,)
    connection.execute(f"COPY (SELECT {turn} AS turn) TO 's3://lakebed/turn.parquet'")
    assert connection.execute("FROM 's3://lakebed/turn.parquet'").fetchone() == (turn,)


def test_a_server_that_ends_at_once_shows_its_log(program: Callable[[str, str], str], tmp_path: Path) -> None:
    prometheus = program("prometheus", "prometheus")
    with (
        pytest.raises(servers.ServerDidNotStartError, match="no-such-flag"),
        servers.prometheus(prometheus, tmp_path, flags=("--no-such-flag",)),
    ):
        pass


def test_a_server_dies_with_the_test_process(program: Callable[[str, str], str], tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import servers\n"
        "with servers.node_exporter(sys.argv[2], Path(sys.argv[3])) as server:\n"
        "    print(server.url, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    exporter = program("prometheus-node-exporter", "prometheus-node-exporter")
    arguments = [str(Path(__file__).parent), exporter, str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, env=os.environ)
    url = done.stdout.strip()
    assert url.startswith("http://127.0.0.1:")

    def gone() -> bool:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            return True
        return False

    servers.await_state(gone)
