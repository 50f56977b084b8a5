"""The end of the chain and tombstones under a key, and encrypted bundles: what is proved, what is not, and how that is said."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lakes import DAY, at, open_lake, points_unit
from warehouse.archive.erasing import erase_subject
from warehouse.archive.keys import SIGNING, proof, signed
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore
from warehouse.archive.sealing import seal
from warehouse.archive.signing import sign
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import ENCRYPTION, Key, encryption_keys

TABLE = "raw.metric_points"
DAYS = [DAY.replace(day=n) for n in (1, 2, 3)]
POINTS = [(n, at(f"{d} 10:0{n}"), n / 7) for d in DAYS for n in range(5)]
SECRET = bytes(range(32))


def root(lake: Lake) -> Path:
    """The archive's folder."""
    return Path(lake.settings.resolve(lake.settings.archive.path))


def kinds(lake: Lake) -> list[str]:
    """The problems that verification finds."""
    return [p.kind for p in verify(lake).problems]


@pytest.fixture
def landed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Three days, nothing sealed, a signing key in the environment."""
    monkeypatch.setenv(SIGNING, "one key")
    lake.land(points_unit("b1", POINTS))
    return lake


@pytest.fixture
def signed_lake(landed: Lake) -> Lake:
    """Three sealed days, signed."""
    for day in DAYS:
        seal(landed, TABLE, day)
    return landed


def test_a_rolled_back_record_with_its_last_bundle_gone_is_seen(signed_lake: Lake) -> None:
    assert verify(signed_lake).unproved == []
    assert kinds(signed_lake) == []
    last = recorded_bundles(signed_lake)[-1]
    signed_lake.connection.execute("DELETE FROM store.meta_archive_bundles WHERE bundle_id = ?", [last.bundle_id])
    shutil.rmtree(root(signed_lake) / last.path)
    assert kinds(signed_lake) == ["lost bundles"]
    signed_lake.connection.execute("DELETE FROM store.meta_archive_bundles")
    assert "lost bundles" in kinds(signed_lake)


def test_a_head_that_was_rewritten_does_not_pass(signed_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    head = root(signed_lake) / "head.json"
    document = json.loads(head.read_text())
    head.write_bytes(signed("", {**document, "count": 2}, None))
    assert kinds(signed_lake) == ["forged head"]
    head.write_bytes(signed("", {k: v for k, v in document.items() if k != "hmac"}, None))
    assert kinds(signed_lake) == ["unsigned head"]
    head.write_text("{}")
    assert kinds(signed_lake) == ["edited head"]
    head.unlink()
    assert kinds(signed_lake) == ["missing head"]
    assert sign(signed_lake) == 3
    assert kinds(signed_lake) == []
    monkeypatch.setenv(SIGNING, "another key")
    assert kinds(signed_lake) == ["wrong key"]


def test_without_the_key_verification_says_what_it_cannot_prove_and_nothing_is_added(
    signed_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_lake.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))
    monkeypatch.delenv(SIGNING)
    result = verify(signed_lake)
    assert result.problems == []
    assert SIGNING in result.unproved[0]
    for value, message in ((None, "is signed; set"), ("another", "is not the key")):
        if value:
            monkeypatch.setenv(SIGNING, value)
        with pytest.raises(ArchiveError, match=message):
            seal(signed_lake, TABLE, DAY)
    assert len(recorded_bundles(signed_lake)) == 3


def test_tombstones_count_only_with_their_hmac(signed_lake: Lake) -> None:
    erase_subject(signed_lake, TABLE, "series_id", "3", reason="request")
    assert kinds(signed_lake) == []
    path = next(root(signed_lake).glob("*/*/*/tombstone.json"))
    document = json.loads(path.read_text())
    path.write_bytes(signed("", {**document, "reason": "another"}, None))
    assert kinds(signed_lake) == ["false tombstone", "missing file"]
    path.write_bytes(signed("", {k: v for k, v in document.items() if k not in ("hmac", "key")}, None))
    assert kinds(signed_lake) == ["unsigned tombstone"]


def test_a_seal_that_died_before_the_head_was_written_is_no_problem(landed: Lake) -> None:
    def die(name: str) -> None:
        if name == "recorded":
            raise KeyboardInterrupt

    for number, day in enumerate(DAYS, 1):
        landed.step = die
        with pytest.raises(KeyboardInterrupt):
            seal(landed, TABLE, day)
        landed.step = lambda _name: None
        assert kinds(landed) == []
        assert json.loads((root(landed) / "head.json").read_text())["count"] == number


def test_an_archive_begun_without_a_key_can_be_signed_when_it_is_sound(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.land(points_unit("b1", POINTS))
    monkeypatch.delenv(SIGNING, raising=False)
    seal(lake, TABLE, DAY)
    erase_subject(lake, TABLE, "series_id", "3", reason="request")
    monkeypatch.setenv(SIGNING, "one key")
    assert kinds(lake) == ["unsigned head", "unsigned tombstone"]
    note = root(lake) / "note.txt"
    note.write_text("x")
    with pytest.raises(ArchiveError, match="nothing was signed"):
        sign(lake)
    note.unlink()
    sign(lake)
    assert kinds(lake) == []


@pytest.fixture
def encrypted(tmp_path: Path, empty_lake: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A lake with one encrypted bundle."""
    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv(ENCRYPTION, SECRET.hex())
    with open_lake(tmp_path, archive={"encrypt": True}) as lake:
        lake.land(points_unit("b1", POINTS))
        seal(lake, TABLE, DAY)
        yield lake


def test_encrypted_bundles_come_back_with_the_key_alone(encrypted: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = recorded_bundles(encrypted)[0]
    manifest = json.loads((root(encrypted) / bundle.path / "manifest.json").read_text())
    assert manifest["encryption"]["key_from"] == ENCRYPTION
    assert SECRET.hex() not in json.dumps(manifest)
    assert (manifest["time_min"], manifest["time_max"]) == ("2026-03-01T10:00:00", "2026-03-01T10:04:00")
    assert restore(encrypted, TABLE, DAY, DAY, tmp_path / "out").rows == 5
    path = root(encrypted) / bundle.path / "rows-00000.parquet"
    with duckdb.connect() as plain:
        with pytest.raises(duckdb.Error):
            plain.execute("SELECT * FROM read_parquet(?)", [str(path)])
        plain.execute(f"PRAGMA add_parquet_key('k', '{base64.b64encode(SECRET).decode()}')")
        assert plain.execute(f"SELECT count(*) FROM read_parquet('{path}', encryption_config = {{footer_key: 'k'}})").fetchone() == (5,)
    monkeypatch.setenv(ENCRYPTION, bytes(16).hex())
    with pytest.raises(ArchiveError, match="holds another one"):
        restore(encrypted, TABLE, DAY, DAY, tmp_path / "wrong")
    monkeypatch.delenv(ENCRYPTION)
    with pytest.raises(ArchiveError, match=f"set {ENCRYPTION}"):
        restore(encrypted, TABLE, DAY, DAY, tmp_path / "none")
    assert kinds(encrypted) == []
    monkeypatch.setenv(ENCRYPTION, f"{bytes(16).hex()},{SECRET.hex()}")
    assert restore(encrypted, TABLE, DAY, DAY, tmp_path / "changed").rows == 5
    monkeypatch.delenv(ENCRYPTION)
    with pytest.raises(ArchiveError, match="nothing was sealed"):
        seal(encrypted, TABLE, DAYS[1])


@pytest.mark.parametrize("text", ["00" * 15, "short", "zz" * 32, base64.b64encode(bytes(20)).decode()])
def test_a_key_of_another_length_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENCRYPTION, text)
    with pytest.raises(ArchiveError, match="16, 24 or 32 bytes"):
        encryption_keys()


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_are_read_as_hex_and_as_base64(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bytes(range(size))
    for text in (secret.hex(), base64.b64encode(secret).decode()):
        monkeypatch.setenv(ENCRYPTION, text)
        (key,) = encryption_keys()
        assert key.secret == secret
        assert secret.hex() not in repr(key)


TEXTS = st.dictionaries(st.text(max_size=8).filter(lambda k: k not in ("key", "hmac")), st.text(max_size=20) | st.integers(), max_size=5)


@given(TEXTS, st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
def test_a_signature_holds_for_its_kind_key_and_content_only(document: dict[str, Any], secret: bytes, other: bytes) -> None:
    key = Key(secret, "a")
    content = signed("head", document, key)
    assert proof("head", content, key) == "proved"
    assert proof("tombstone", content, key) == "forged"
    assert proof("head", content, None) == "no key"
    assert proof("head", content + b" ", None) == "forged"
    assert proof("head", signed("head", {**json.loads(content), "added": 1}, None), key) == "forged"
    assert proof("head", signed("head", document, None), key) == "unsigned"
    assert proof("head", content, Key(other, "b")) == "wrong key"
    if other != secret:
        assert proof("head", content, Key(other, "a")) == "forged"
