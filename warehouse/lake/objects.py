"""An S3-compatible store as boto3 sees it; DuckDB has its own way there (`connection.use_s3`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warehouse.errors import LakeError
from warehouse.settings import LakeSettings


def upload(settings: LakeSettings, file: Path, address: str) -> None:
    """Put a file at `s3://bucket/key`, in parts where it is large. Raises LakeError when the store does not take it."""
    from boto3.exceptions import S3UploadFailedError  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        client(settings).upload_file(str(file), bucket, key)
    except (ClientError, BotoCoreError, S3UploadFailedError) as error:
        raise LakeError(f"{address} cannot be written: {error}") from None


def client(settings: LakeSettings) -> Any:
    """Bounded retries and times; checksums only where the store asks for them, because not every S3-compatible store knows them."""
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    options = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"max_attempts": 5, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.s3_endpoint else "auto"},
    )
    endpoint = f"{'https' if settings.s3_use_ssl else 'http'}://{settings.s3_endpoint}" if settings.s3_endpoint else None
    return boto3.client("s3", endpoint_url=endpoint, region_name=settings.s3_region, config=options)
