"""clp-s of the PyPI package `yscope-clp-core`: lines compressed, and shown to come back."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "yscope-clp-core"
TIME = re.compile(
    r"(?P<head>.*?)(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{3,9}Z?|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})(?P<body>.*)",
    re.S,
)
LAYOUTS: dict[str, tuple[str, ...]] = {"body": (), "head, time, body": ("--timestamp-key", "time")}
"""Fields of the JSON that clp-s is given, and its options: the line as one field, or cut around its time, which clp-s then parses."""


def program() -> Path | None:
    """The program that the package brings; None where it is not installed."""
    spec = importlib.util.find_spec("yscope_clp_core")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "bin" / "clp-s"


def version() -> str:
    """Version of the package."""
    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


def documents(lines: Iterable[str], layout: str) -> Iterator[str]:
    """The lines as JSON documents."""
    for line in lines:
        match = TIME.fullmatch(line) if layout != "body" else None
        yield json.dumps(match.groupdict() if match else {"body": line}, ensure_ascii=False)


def line(document: str) -> str:
    """The line of a document."""
    fields = json.loads(document)
    return f"{fields.get('head', '')}{fields.get('time', '')}{fields['body']}"


def compressed(clp: Path, lines: Iterable[str], folder: Path, layout: str, level: int) -> int | None:
    """Bytes of the archive, after every line has come back from it; None where clp-s refuses the layout (a time it cannot parse).

    Raises RuntimeError when other lines come back."""
    source, archive, back = folder / "clp.ndjson", folder / "clp-archive", folder / "clp-back"
    sent: Counter[int] = Counter()
    with source.open("w", encoding="utf-8", newline="") as file:
        for document in documents(lines, layout):
            file.write(document + "\n")
            sent[hash(line(document))] += 1
    try:
        command: list[str | Path] = [clp, "c", "--compression-level", str(level), *LAYOUTS[layout], archive, source]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        size = sum(p.stat().st_size for p in archive.rglob("*") if p.is_file())
        source.unlink()
        subprocess.run([clp, "x", archive, back], capture_output=True, check=True)
        for path in (p for p in back.rglob("*") if p.is_file()):
            with path.open(encoding="utf-8", newline="\n") as file:
                sent.subtract(hash(line(document)) for document in file)
        if any(sent.values()):
            raise RuntimeError(f"clp-s at level {level} ({layout}) gave other lines back")
        return size
    finally:
        source.unlink(missing_ok=True)
        for used in (archive, back):
            shutil.rmtree(used, ignore_errors=True)
