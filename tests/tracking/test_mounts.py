"""What `-b cuda` mounts: each parameter's files at their own paths, read-only, with what links lead to."""

import csv
from pathlib import Path

import pytest

from derm_ml.config.paths import given_paths
from derm_ml.errors import UserError
from derm_ml.tracking import mounts as module
from derm_ml.tracking.container import specify
from derm_ml.tracking.mounts import Mount, mounts
from derm_ml.tracking.preflight import check_mountable


def same(*paths):
    return [Mount(path, path) for path in paths]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The mounts that the engine is told of for parameters, and the rest of its arguments."""
    for name in ("cache", "runs", "reports"):
        monkeypatch.setenv(f"DERM_ML_{name.upper()}", str(tmp_path / "own" / name))
    monkeypatch.setenv("DERM_ML_DATA", "/nowhere")

    def tell(s3=False, **parameters):
        found = given_paths(parameters, tmp_path)
        for each in found:
            each.check()
            check_mountable(each.name, each.read)
        spec = specify(
            image="i", work_dir=Path("/project"), reads=[each.read for each in found], s3=s3, gpus=False,
            tracking_uri="http://server", artifact_uri="mlflow-artifacts:/0/x", overrides={},
        )  # fmt: skip
        rows = [next(csv.reader([word])) for word in spec.arguments if word.startswith("type=bind")]
        made = {row[2].removeprefix("target="): (row[1].removeprefix("source="), "readonly" in row) for row in rows}
        return made, spec

    return tell


def test_every_parameter_that_names_a_file_is_mounted(tmp_path, told):
    for name in ("data", "pool", "other", "tables"):
        (tmp_path / name).mkdir()
    for name in ("other/table.csv", "tables/names.csv", "encoder.safetensors", "weights.safetensors"):
        (tmp_path / name).touch()
    plan = tmp_path / "plan.toml"
    plan.write_text('[arms.a]\nextra = "pool"\n[arms.b]\nencoder = "random"\n')
    made, _ = told(
        data="data", external="other/table.csv", external_classes="tables/names.csv", plan="plan.toml",
        encoder="encoder.safetensors", imagenet_weights="weights.safetensors", extra="synthetic",
    )  # fmt: skip
    wanted = {
        "data", "pool", "other", "tables/names.csv", "plan.toml", "encoder.safetensors", "weights.safetensors",
    }  # fmt: skip
    for name in wanted:
        path = str(tmp_path / name)
        assert made[path] == (path, True), name
    assert str(tmp_path) not in made, "a file that stands alone does not bring its folder"
    written = {path for path, (_, readonly) in made.items() if not readonly}
    assert written == {str(tmp_path / "own" / name) for name in ("cache", "runs", "reports")}


@pytest.mark.parametrize("name", ["a b", "a,b", "a:b", "it's", 'a"b', "näevi 黑", "$(id)", "x'; touch p; '"])
def test_any_name_is_one_argument(name, tmp_path, told):
    (tmp_path / name).mkdir()
    made, _ = told(data=name)
    assert made[str(tmp_path / name)] == (str(tmp_path / name), True)


def test_links_bring_what_they_lead_to(tmp_path):
    data, store, pool = (tmp_path / name for name in ("data", "store", "pool"))
    for folder in (data / "nevus", store / "melanoma", store / "deep", pool, tmp_path / "hop"):
        folder.mkdir(parents=True)
    for number in range(3):
        (pool / f"{number}.jpg").touch()
        (data / "nevus" / f"{number}.jpg").symlink_to(pool / f"{number}.jpg")
    (data / "melanoma").symlink_to(store / "melanoma")
    (store / "melanoma" / "more").symlink_to("../deep")  # relative, in a folder that is a link itself
    (tmp_path / "hop" / "x.jpg").symlink_to(pool / "0.jpg")
    (data / "nevus" / "x.jpg").symlink_to(tmp_path / "hop" / "x.jpg")
    (data / "nevus" / "within.jpg").symlink_to("0.jpg")
    (data / "dangling").symlink_to(tmp_path / "gone")
    (data / "round").symlink_to("round")
    (data / "up").symlink_to(data)
    (data / "zero.jpg").symlink_to("/dev/zero")
    (data / "etc").symlink_to("/etc")
    found = set(mounts([data]))
    assert found == set(same(data, pool, store / "melanoma", store / "deep", tmp_path / "hop"))


def test_a_linked_folder_is_mounted_where_it_is_named(tmp_path):
    real = tmp_path / "elsewhere" / "real"
    real.mkdir(parents=True)
    (tmp_path / "elsewhere" / "pool").mkdir()
    (tmp_path / "elsewhere" / "pool" / "1.jpg").touch()
    (real / "1.jpg").symlink_to("../pool/1.jpg")
    link = tmp_path / "link"
    link.symlink_to(real)
    # inside, ../pool is beside the name `link`
    assert mounts([link]) == [Mount(link, link), Mount(tmp_path / "elsewhere" / "pool", tmp_path / "pool")]


def test_a_part_is_not_mounted_twice(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert mounts([tmp_path / "a" / "b", tmp_path / "a", tmp_path / "a"]) == same(tmp_path / "a")


def test_too_many_links_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)
    (tmp_path / "data").mkdir()
    for number in range(9):
        (tmp_path / f"p{number}").mkdir()
        (tmp_path / "data" / str(number)).symlink_to(tmp_path / f"p{number}")
    with pytest.raises(UserError, match="more than 5 folders"):
        mounts([tmp_path / "data"])


@pytest.mark.parametrize("path", ["/", "/tmp", "/etc", "/dev", "/dev/shm", "/proc/self", "/sys/x"])
def test_the_containers_own_is_not_hidden(path):
    with pytest.raises(UserError, match="would hide the container's own"):
        check_mountable("data", Path(path))


def test_shards_bring_their_folder(tmp_path, told):
    (tmp_path / "shards").mkdir()
    made, _ = told(extra="shards/part-{0000..0012}.tar")
    assert str(tmp_path / "shards") in made


def test_a_stores_login_is_handed_on_by_name(told, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "kept-to-itself")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333")
    made, spec = told(extra="s3://bucket/part-{0..3}.tar", s3=True)
    words = " ".join(spec.arguments)
    assert spec.environment["AWS_SECRET_ACCESS_KEY"] == "kept-to-itself"
    assert "kept-to-itself" not in words
    assert "s3:" not in " ".join(made)
    assert "--network host" in words, "the store is on this machine's loopback"
    assert "AWS_SECRET_ACCESS_KEY" not in told(data="synthetic")[1].environment


def test_a_studies_file_is_mounted_to_be_written(tmp_path, told, monkeypatch):
    monkeypatch.setenv("DERM_ML_STUDIES", f"sqlite:///{tmp_path}/studies/all.db")
    assert told(data="synthetic")[0][str(tmp_path / "studies")] == (str(tmp_path / "studies"), False)
