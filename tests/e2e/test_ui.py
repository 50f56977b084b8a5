"""The Dagster UI as a person meets it: open it, materialise everything, look at the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakebed.demo import generate
from lakebed.demo.generate import SHORTEST_DAYS
from tests.integration.servers import free_port

pytestmark = [pytest.mark.server, pytest.mark.browser]

DAYS = 7
BACKFILL = """mutation ($keys: [AssetKeyInput!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $keys, allPartitions: true}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PartitionBackfill { status error { message } } } }"""
NODES = """query { assetNodes { assetKey { path } isPartitioned assetMaterializations(limit: 1) { timestamp }
  partitionStats { numPartitions numMaterialized numFailed }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } }"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI with its daemon, over the last week of the simulated company, which nothing has loaded yet."""
    folder = tmp_path_factory.mktemp("company")
    end = datetime.now(UTC).date() - timedelta(days=1)
    generate(folder, seed=1, end=end, days=SHORTEST_DAYS, scale=0.02)
    config = folder / "lakebed.toml"
    config.write_text(f"start_day = {end - timedelta(days=DAYS - 1)}\n" + config.read_text())
    port = free_port()
    command = [str(Path(sys.executable).with_name("lakebed")), "ui", "--config", str(config), "--port", str(port)]
    with (folder / "ui.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/server_info"), 300, folder / "ui.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def wait_for(state: Callable[[], bool], seconds: float, log: Path | None = None) -> None:
    deadline = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log else "not reached in time"
        time.sleep(0.5)


def ask(url: str, query: str, **variables: Any) -> Any:
    """The answer's data; a GraphQL error fails the test."""
    answer = httpx.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, json.dumps(answer["errors"])[:2000]
    return answer["data"]


@pytest.mark.timeout(1500)
def test_everything_can_be_materialised_and_every_check_passes(ui: str, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    wait_for(lambda: bool(ask(ui, NODES)["assetNodes"]), 300)
    keys = [{"path": node["assetKey"]["path"]} for node in ask(ui, NODES)["assetNodes"]]
    assert {"path": ["mart", "capacity_plan"]} in keys
    launched = ask(ui, BACKFILL, keys=keys)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def finished() -> bool:
        status = ask(ui, STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        assert status["status"] not in ("FAILED", "COMPLETED_FAILED", "CANCELED"), status
        return bool(status["status"] in ("COMPLETED", "COMPLETED_SUCCESS"))

    wait_for(finished, 1000)
    nodes = ask(ui, NODES)["assetNodes"]
    missing = [n["assetKey"]["path"] for n in nodes if not n["assetMaterializations"]]
    assert missing == []
    partial = [n["assetKey"]["path"] for n in nodes if n["isPartitioned"] and n["partitionStats"]["numMaterialized"] < DAYS]
    assert partial == []
    failed = [
        (node["assetKey"]["path"], check["name"], check["executionForLatestMaterialization"])
        for node in nodes
        for check in node["assetChecksOrError"].get("checks", [])
        if check["name"] != "warnings" and (check["executionForLatestMaterialization"] or {}).get("status") != "SUCCEEDED"
    ]
    assert failed == []
    look(f"{ui}/assets/mart/capacity_plan", tmp_path / "assets.png", program("chromium", "chromium"))


def look(url: str, picture: Path, chromium: str) -> None:
    """The page of an asset opens without asking anyone else, and shows it."""
    from playwright.sync_api import sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        elsewhere: list[str] = []
        page.on("request", lambda request: elsewhere.append(request.url) if "127.0.0.1" not in request.url else None)
        page.goto(url)
        page.get_by_text("When each resource runs out").first.wait_for(timeout=120_000)
        page.screenshot(path=picture)
        browser.close()
    assert picture.stat().st_size > 10_000
    assert [u for u in elsewhere if not u.startswith(("data:", "blob:"))] == []
