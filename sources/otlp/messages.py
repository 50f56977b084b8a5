"""The protobuf messages of OTLP as this reader wants them: the published descriptors with these changes.

Texts are bytes (a broken character must not cost the whole message), attributes of metric points stay undecoded bytes (the same set
comes again with every scrape, and is looked up instead of parsed) and so do number points themselves (see samples), and exemplars are not
read. The wire format is the same."""

from __future__ import annotations

from functools import cache
from typing import Any

POINTS = ("NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint")
UNDECODED = {(name, "attributes") for name in POINTS} | {("Gauge", "data_points"), ("Sum", "data_points")}


@cache
def message(name: str) -> Any:
    """A message class by its name without `opentelemetry.proto.`, for example `metrics.v1.MetricsData`."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"opentelemetry.proto.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool
    from opentelemetry.proto.common.v1 import common_pb2
    from opentelemetry.proto.logs.v1 import logs_pb2
    from opentelemetry.proto.metrics.v1 import metrics_pb2
    from opentelemetry.proto.resource.v1 import resource_pb2
    from opentelemetry.proto.trace.v1 import trace_pb2

    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, metrics_pb2, trace_pb2, logs_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for found in file.message_type:
            _change(found)
        pool.Add(file)
    return pool


def _change(found: Any) -> None:
    for inner in found.nested_type:
        _change(inner)
    kept = [f for f in found.field if not (found.name in POINTS and f.name == "exemplars")]
    for field in kept:
        if field.type == field.TYPE_STRING or (found.name, field.name) in UNDECODED:
            field.type = field.TYPE_BYTES
            field.ClearField("type_name")
    fields = list(kept)
    del found.field[:]
    found.field.extend(fields)
