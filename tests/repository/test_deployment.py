"""What is said about large collections: files that can be read, and arithmetic that is right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.projections import Measured, projected, report, useful_cores  # noqa: E402

DEPLOY = ROOT / "examples/deploy"
MEASURED = Measured(a_core=25, folder=5000, milvus=500, folder_bytes=2000, milvus_bytes=1250)


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.yaml")), ids=lambda path: path.name)
def test_files_for_deployment_can_be_read(path: Path) -> None:
    assert all(yaml.safe_load_all(path.read_text()))


def test_no_port_is_open_to_everyone() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_stands_in_a_file() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    for name in ("TLL_MILVUS_TOKEN", "TLL_TOKEN"):
        assert f"{name}: ${{{name}:?" in text  # without it, nothing starts
    for worker in yaml.safe_load((DEPLOY / "raycluster.yaml").read_text())["spec"].values():
        assert "TOKEN" not in str(worker).replace("'RAY_AUTH_MODE', 'value': 'token'", "")


def test_projections_are_products() -> None:
    one = projected(MEASURED, 10**8)
    assert one.core_hours == pytest.approx(10**8 / 25 / 3600)
    assert one.vectors == pytest.approx(51.2)
    assert one.graph == pytest.approx(10**8 * (512 + 256) / 1e9)
    assert one.folder == pytest.approx(200) and one.milvus == pytest.approx(125)
    assert one.writer_hours == pytest.approx(10**8 / 500 / 3600)
    assert useful_cores(MEASURED) == {"folder": 200, "milvus": 20}


def test_the_table_shows_its_arithmetic() -> None:
    text = "\n".join(report(MEASURED))
    assert "pictures / 25.0 / 3,600" in text and "unmeasured" in text and "a guess" in text
    assert text.count("\n| 1") == 3
