"""`python -m benchmarks.storage`: what settled metrics, logs and spans take beside specialised stores; each part is a module of its own."""

from __future__ import annotations

import json

from benchmarks import storage_logs, storage_metrics, storage_spans

if __name__ == "__main__":
    print(f"# {storage_metrics.versions()}")
    print(json.dumps({**storage_metrics.measure(), **storage_logs.measure(), **storage_spans.measure()}))
