"""The archive in an S3-compatible store. Credentials come from AWS_* in the environment, the server from `[lake]` (s3_endpoint ...).

boto3 rather than pyarrow.fs: a manifest is put only where none is (If-None-Match), which pyarrow cannot ask for."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from warehouse.archive.storage import Storage
from warehouse.errors import ArchiveError
from warehouse.lake.identity import CHUNK
from warehouse.lake.objects import client
from warehouse.settings import LakeSettings

DELETE_AT_ONCE = 1000


class Bucket(Storage):
    """Objects under `s3://bucket/prefix`."""

    def __init__(self, address: str, settings: LakeSettings) -> None:
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise ArchiveError(f"archive.path {address} names no bucket; write s3://bucket/prefix")
        self.bucket, self.prefix = bucket, prefix.strip("/")
        self.root = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self._client = client(settings)
        self._temporary = settings.temp_directory

    def listing(self, under: str = "") -> dict[str, int]:
        """Path -> size, by pages of 1,000."""
        return {path: size for path, size, _changed in self._objects(under)}

    def _objects(self, under: str) -> Iterator[tuple[str, int, datetime]]:
        base = f"{self.prefix}/" if self.prefix else ""
        with self._explained(under or "its objects", "listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=base + (f"{under}/" if under else ""))
            for page in pages:
                for item in page.get("Contents", []):
                    yield item["Key"].removeprefix(base), int(item["Size"]), item["LastModified"]

    def find(self, path: str) -> bytes | None:
        """The bytes of an object."""
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        try:
            with self._explained(path, "read", but=("NoSuchKey",)):
                content: bytes = self._client.get_object(Bucket=self.bucket, Key=self._key(path))["Body"].read()
        except ClientError:
            return None
        return content

    def write(self, path: str, content: bytes) -> None:
        """One put: an object is replaced whole or not at all."""
        with self._explained(path, "written"):
            self._client.put_object(Bucket=self.bucket, Key=self._key(path), Body=content)

    def create(self, path: str, content: bytes) -> None:
        """A conditional put. A put whose answer was lost and that is sent again finds its own content, which is no error."""
        from botocore.exceptions import ClientError

        try:
            self._client.put_object(Bucket=self.bucket, Key=self._key(path), Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") not in (409, 412):
                raise ArchiveError(f"{self.url(path)} cannot be written: {error}") from None
            if self.read(path) != content:
                raise ArchiveError(f"{self.url(path)} is there already with other content; nothing was written over it") from None

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """A temporary file that is uploaded when the block ends."""
        with tempfile.TemporaryDirectory(prefix="lakebed-archive-", dir=self._temporary) as folder:
            local = Path(folder) / path.rpartition("/")[2]
            yield local
            with self._explained(path, "written"):
                self._client.upload_file(str(local), self.bucket, self._key(path))

    @contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        """A temporary file that the object is downloaded to."""
        with tempfile.TemporaryDirectory(prefix="lakebed-archive-", dir=self._temporary) as folder:
            local = Path(folder) / path.rpartition("/")[2]
            with self._explained(path, "read"):
                self._client.download_file(self.bucket, self._key(path), str(local))
            yield local

    def digest(self, path: str) -> str:
        """sha256 of the bytes that the store gives, streamed."""
        digest = hashlib.sha256()
        with self._explained(path, "read"):
            body = self._client.get_object(Bucket=self.bucket, Key=self._key(path))["Body"]
            for chunk in body.iter_chunks(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def remove(self, paths: Collection[str]) -> None:
        """Delete objects, 1,000 at once."""
        keys = [{"Key": self._key(path)} for path in paths]
        for start in range(0, len(keys), DELETE_AT_ONCE):
            with self._explained("objects", "removed"):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys[start : start + DELETE_AT_ONCE]})
            if answer.get("Errors"):
                raise ArchiveError(f"{self.url(answer['Errors'][0]['Key'])} cannot be removed: {answer['Errors'][0].get('Message')}")

    def age_seconds(self, under: str) -> float:
        """By the store's times."""
        times = [changed for _path, _size, changed in self._objects(under)]
        return (datetime.now(UTC) - max(times)).total_seconds() if times else float("inf")

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    @contextmanager
    def _explained(self, path: str, act: str, *, but: Collection[str] = ()) -> Iterator[None]:
        """Errors of the store as ArchiveError, except answers with one of the codes `but`."""
        from boto3.exceptions import S3UploadFailedError  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in but:
                raise
            raise ArchiveError(f"{self.url(path)} cannot be {act}: {error}") from None
