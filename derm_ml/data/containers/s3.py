"""Shards in an S3 store, listed with boto3: its own chain finds the credentials, and nothing prints them."""

from __future__ import annotations

import os
from typing import Any

from derm_ml.data.containers.blobs import SHARDS, Blob, S3Blob, expand, suffix
from derm_ml.errors import UserError

CONNECTIONS = 16  # as many as threads read at once


def s3_blobs(spec: str) -> list[Blob]:
    """The shards below `s3://bucket/prefix`, of one object, or of a pattern with {FIRST..LAST}.

    The endpoint is AWS_ENDPOINT_URL's or MLFLOW_S3_ENDPOINT_URL's, else Amazon's.

    Raises:
        UserError: boto3 is missing, the store refuses or cannot be reached, or there are no shards.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise UserError(f"data={spec}: reading from S3 needs boto3: pip install 'derm-ml[s3]'") from error
    bucket, _, prefix = spec.removeprefix("s3://").partition("/")
    if not bucket:
        raise UserError(f"data={spec}: no bucket: give s3://BUCKET/PREFIX")
    wanted = expand(prefix)
    start = prefix.partition("{")[0] if wanted else prefix
    try:
        client = _client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start)
        sizes = {each["Key"]: int(each["Size"]) for page in pages for each in page.get("Contents", ())}
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UserError(
            f"data={spec}: the store does not answer ({error}): check the bucket, AWS_ENDPOINT_URL and the credentials"
        ) from error
    keys = wanted or sorted(key for key in sizes if suffix(key) in SHARDS and _below(key, prefix))
    missing = [key for key in keys if key not in sizes]
    if missing:
        raise UserError(f"data={spec}: {len(missing):,} of {len(keys):,} shards are missing, the first is {missing[0]}")
    if not keys:
        raise UserError(f"data={spec}: no .tar or .parquet shards among {len(sizes):,} objects of this prefix")
    base = os.path.commonpath([os.path.dirname(key) for key in keys])  # noqa: PTH120 (keys are no paths of this system)
    return [S3Blob(client, bucket, key, key[len(base) :].lstrip("/"), sizes[key]) for key in keys]


def _below(key: str, prefix: str) -> bool:
    """Whether a key is the prefix itself or lies in it as in a folder (`pool` is not `pool-2`)."""
    return not prefix or key == prefix or key.startswith(prefix.rstrip("/") + "/")


def _client() -> Any:
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("MLFLOW_S3_ENDPOINT_URL")
    retries = {"max_attempts": 4, "mode": "standard"}
    config = Config(max_pool_connections=CONNECTIONS, retries=retries, connect_timeout=10, read_timeout=60)
    session = boto3.session.Session()  # of our own: the default one keeps the credentials that it found first
    return session.client("s3", endpoint_url=endpoint, config=config)
