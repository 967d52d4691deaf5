"""The bucket: made once, dumped and restored as a tar stream, one object a member."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from derm_ml.errors import UserError
from derm_ml.service.settings import Settings

SPOOL = 64 * 2**20  # bytes of an object held in memory before it goes to a temporary file
SUMS = ".derm-ml-sha256.json"  # the last member of a dump: SHA-256 and size of every object


def client(settings: Settings, timeout: float = 60.0, attempts: int = 5) -> Any:
    """boto3's client of the store; the keys come from the environment."""
    import boto3
    from botocore.config import Config

    retries = {"total_max_attempts": attempts, "mode": "standard"}
    config = Config(
        connect_timeout=min(timeout, 10), read_timeout=timeout, retries=retries, s3={"addressing_style": "path"}
    )
    return boto3.client("s3", endpoint_url=settings.endpoint, config=config)


def create_bucket(settings: Settings) -> bool:
    """Make the bucket if it is not there.

    Raises:
        UserError: the store refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = client(settings)
    try:
        s3.head_bucket(Bucket=settings.bucket)
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise UserError(f"the store refuses the bucket {settings.bucket} ({error}): check its keys") from error
    except BotoCoreError as error:
        raise UserError(f"the store at {settings.endpoint} does not answer ({error})") from error
    s3.create_bucket(Bucket=settings.bucket)
    return True


def objects(s3: Any, bucket: str) -> Iterator[dict[str, Any]]:
    """Every object, in key order."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from page.get("Contents", [])


def dump(settings: Settings, out: IO[bytes]) -> int:
    """Write every object into a tar stream, and their SHA-256 as its last member; returns how many.

    An object that is deleted meanwhile is left out; one that is written meanwhile is whole, old or new.
    """
    from botocore.exceptions import ClientError

    s3, sums = client(settings), {}
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in objects(s3, settings.bucket):
            key = entry["Key"]
            try:
                body = s3.get_object(Bucket=settings.bucket, Key=key)["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    continue
                raise
            with tempfile.SpooledTemporaryFile(SPOOL) as spool:
                digest = _copy(body.iter_chunks(2**20), spool)
                member = tarfile.TarInfo(key)
                member.size = spool.tell()
                spool.seek(0)
                archive.addfile(member, spool)  # type: ignore[arg-type]
                sums[key] = [digest, member.size]
        text = json.dumps(sums).encode()
        member = tarfile.TarInfo(SUMS)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return len(sums)


def load(settings: Settings, source: IO[bytes]) -> int:
    """Put every object of a dump into the bucket; returns how many.

    Raises:
        UserError: the dump is cut short or damaged.
    """
    s3, keys = client(settings), []
    for key, file in read(source):
        s3.upload_fileobj(file, settings.bucket, key)
        keys.append(key)
    return len(keys)


def read(source: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Every object of a dump, its content at hand until the next one; at the end all are held against their SHA-256.

    Raises:
        UserError: the dump is cut short or damaged.
    """
    found: dict[str, list[object]] = {}
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is None:
                    continue
                if member.name == SUMS:
                    if json.loads(file.read()) != found:
                        raise UserError("the objects do not match their SHA-256: the backup is damaged")
                    return
                with tempfile.SpooledTemporaryFile(SPOOL) as spool:
                    found[member.name] = [_copy(iter(lambda: file.read(2**20), b""), spool), member.size]  # noqa: B023
                    spool.seek(0)
                    yield member.name, spool
    except tarfile.TarError as error:
        raise UserError(f"the objects cannot be read ({error}): the backup is damaged") from error
    raise UserError("the objects end too early: the backup is cut short")


def _copy(chunks: Iterable[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()
