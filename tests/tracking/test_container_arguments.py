"""What `-b cuda` tells the engine: secrets by name only, the data read-only, an authority's file handed on."""

from derm_ml.tracking.container import specify


def test_what_the_container_is_told(tmp_path, monkeypatch):
    data, authority = tmp_path / "le,sions", tmp_path / "ca.crt"
    data.mkdir()
    authority.touch()
    for name in ("cache", "runs", "reports"):
        monkeypatch.setenv(f"DERM_ML_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "kept-to-itself")
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority))
    spec = specify(
        image="derm-ml-trainer:0.1.0",
        work_dir=tmp_path,
        reads=[data],
        gpus=True,
        tracking_uri="https://lesions.example",
        artifact_uri="mlflow-artifacts:/0/x",
        overrides={"gpus": "device=1", "shm-size": "16g", "v": "/a:/a"},
    )
    words = " ".join(spec.arguments)
    assert "kept-to-itself" not in words
    assert spec.environment["MLFLOW_TRACKING_PASSWORD"] == "kept-to-itself"
    assert spec.environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] == str(authority)
    assert f"type=bind,source={authority},target={authority},readonly" in spec.arguments
    assert f'type=bind,"source={data}","target={data}",readonly' in spec.arguments
    assert "--gpus device=1" in words
    assert "--gpus all" not in words
    assert "--shm-size 16g" in words
    assert "-v /a:/a" in words
    assert "--network" not in words, "only a server on loopback needs the host's network"
