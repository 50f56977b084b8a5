"""Real servers for integration tests: each on a free port of 127.0.0.1, awaited by its state, always ended.

A server is a context manager; it dies with the test process too (`setpriv --pdeathsig`), so that a killed run leaves
nothing behind."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

START_SECONDS = 60.0
STOP_SECONDS = 15.0
POSTGRES_USER = "lakebed"
POSTGRES_PASSWORD = "lakebed-test-secret"


class ServerDidNotStartError(AssertionError):
    """A server ended or was not ready in time; the message ends with its log."""


@dataclass(frozen=True)
class Server:
    """A running server: where it listens and its process id."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def find_program(name: str) -> str | None:
    """The path of a server's program, also where Debian keeps those of PostgreSQL."""
    extra = os.pathsep.join(str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin")))
    return shutil.which(name) or shutil.which(name, path=extra)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str],
    port: int,
    ready: Callable[[], bool],
    folder: Path,
    *,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """Run a program until the block ends; enter the block when `ready` says so.

    user: account to run as (only root may ask). end: the signal that asks it to end. Raises ServerDidNotStartError
    with the program's log."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _guarded(command, user, end),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
    try:
        _await(process, ready, log)
        yield Server(port, process.pid)
    finally:
        process.send_signal(end)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _guarded(command: list[str], user: str | None, end: signal.Signals) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return command
    account = [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"] if user else []
    return [setpriv, *account, f"--pdeathsig={end.name.removeprefix('SIG')}", *command]


def _await(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            state = "ended" if process.poll() is not None else "was not ready in time"
            raise ServerDidNotStartError(f"{process.args} {state}:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)  # the pause between two looks at the state, not a guess of how long it takes


def await_state(ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Look again and again until `ready` says so; AssertionError when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"not reached within {seconds:g} s"
        time.sleep(0.02)


def _answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return httpx.get(url, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    return ready


@contextlib.contextmanager
def prometheus(
    program: str,
    folder: Path,
    *,
    data: Path | None = None,
    scrape: dict[str, str] | None = None,
    flags: tuple[str, ...] = (),
) -> Iterator[Server]:
    """Prometheus that keeps a hundred years. data: its TSDB folder. scrape: job -> host:port, each scraped every
    second."""
    port = free_port()
    jobs = "".join(f"  - job_name: {job}\n    static_configs: [{{targets: ['{target}']}}]\n" for job, target in (scrape or {}).items())
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + (jobs or "  []\n"))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data or folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *flags,
    ]
    with running(command, port, _answers(f"http://127.0.0.1:{port}/-/ready"), folder) as server:
        yield server


@contextlib.contextmanager
def node_exporter(program: str, folder: Path) -> Iterator[Server]:
    """The machine's own metrics."""
    port = free_port()
    command = [program, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command, port, _answers(f"http://127.0.0.1:{port}/metrics"), folder) as server:
        yield server


@contextlib.contextmanager
def victoria_metrics(program: str, folder: Path, memory: str = "256MB") -> Iterator[Server]:
    """VictoriaMetrics, single node, that keeps a hundred years. memory: what its caches may take."""
    port = free_port()
    command = [
        program,
        f"-storageDataPath={folder / 'victoria'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        f"-memory.allowedBytes={memory}",
        "-loggerLevel=WARN",
    ]
    with running(command, port, _answers(f"http://127.0.0.1:{port}/health"), folder) as server:
        yield server


@contextlib.contextmanager
def alertmanager(program: str, folder: Path) -> Iterator[Server]:
    """Alertmanager with one receiver that notifies nobody, alone (no cluster)."""
    port = free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    command = [
        program,
        f"--config.file={config}",
        f"--storage.path={folder / 'alerts'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(command, port, _answers(f"http://127.0.0.1:{port}/-/ready"), folder) as server:
        yield server


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Server]:
    """An S3-compatible server in memory (moto), in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, _answers(f"http://127.0.0.1:{port}/moto-api/data.json"), folder) as server:
        yield server


@contextlib.contextmanager
def postgres(initdb: str, program: str) -> Iterator[str]:
    """A fresh PostgreSQL cluster on loopback; gives the DSN of its database `postgres`."""
    with PostgresCluster.created(initdb, program, fsync=False) as cluster:
        yield cluster.dsn


class PostgresCluster:
    """A PostgreSQL cluster on loopback that can be stopped in rude ways and started again, under the same DSN.

    Root may not run PostgreSQL: then it runs as user `postgres`, in a folder of that user's own under the temporary folder."""

    def __init__(self, program: str, folder: Path, user: str | None, fsync: bool) -> None:
        self.folder, self.port = folder, free_port()
        self.dsn = f"host=127.0.0.1 port={self.port} user={POSTGRES_USER} password={POSTGRES_PASSWORD} dbname=postgres"
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on" if fsync else "off",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self._command, self._user = [program, "-D", str(folder / "data"), *settings], user
        self._process = contextlib.ExitStack()
        self.pid = 0

    @classmethod
    @contextlib.contextmanager
    def created(cls, initdb: str, program: str, *, fsync: bool = True) -> Iterator[PostgresCluster]:
        """A new cluster that runs until the block ends."""
        user = "postgres" if os.geteuid() == 0 else None
        folder = Path(tempfile.mkdtemp(prefix="lakebed-postgres-"))
        try:
            password = folder / "password"
            password.write_text(POSTGRES_PASSWORD)
            if user:
                for path in (folder, password):
                    shutil.chown(path, user)
            subprocess.run(_as(user, _initdb(initdb, folder, password)), check=True, capture_output=True, timeout=120)
            cluster = cls(program, folder, user, fsync)
            cluster.start()
            try:
                yield cluster
            finally:
                cluster._process.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, unless it runs; it takes connections when this returns."""
        if not self.pid:
            started = running(self._command, self.port, _connects(self.dsn), self.folder, user=self._user, end=signal.SIGINT)
            self.pid = self._process.enter_context(started).pid

    def stop(self, how: str) -> None:
        """End it without a checkpoint: `immediate` as pg_ctl does, `kill` as a machine's death does, with all of its processes."""
        if how == "kill":
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGQUIT)
        self._process.close()
        self.pid = 0


class AnswerLost:
    """A proxy before PostgreSQL that, once told to, ends a connection between the commit of its transaction and the answer to it."""

    def __init__(self, dsn: str) -> None:
        self._server = int(dict(word.split("=", 1) for word in dsn.split())["port"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = dsn.replace(f"port={self._server}", f"port={self._listener.getsockname()[1]}")
        self.commits, self._armed = 0, threading.Event()

    def __enter__(self) -> AnswerLost:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    def cut_after_commit(self) -> None:
        """From now on, the next answer to a COMMIT is lost."""
        self._armed.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                wrote = threading.Event()
                for source, target, answers in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=(source, target, answers, wrote), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool, wrote: threading.Event) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(1 << 16):
                if not answers and b"INSERT INTO" in data:
                    wrote.set()
                if answers and wrote.is_set() and b"COMMIT\0" in data:  # a pooled connection writes in one transaction, reads in the next
                    wrote.clear()
                    if self._armed.is_set():
                        self.commits += 1
                        self._armed.clear()
                        break
                target.sendall(data)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)


def _initdb(initdb: str, folder: Path, password: Path) -> list[str]:
    login = [f"--username={POSTGRES_USER}", "--auth=scram-sha-256", f"--pwfile={password}"]
    return [initdb, "-D", str(folder / "data"), *login, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]


def _as(user: str | None, command: list[str]) -> list[str]:
    return ["runuser", "-u", user, "--", *command] if user else command


def _connects(dsn: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    return ready
