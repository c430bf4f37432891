"""What is installed: the locks hold what the project asks for, checked by hashes, and name no place to get it from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-runtime.lock"]


def locked(name: str) -> dict[str, str]:
    """Package -> version and marker."""
    found = re.findall(r"^([a-z0-9-]+)==(.*?) \\$", (ROOT / name).read_text(), re.MULTILINE)
    return {package: version for package, version in found}


def project() -> dict[str, list[str]]:
    """Extra ("" for none) -> what it asks for."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": table["dependencies"], **table["optional-dependencies"]}


@pytest.mark.parametrize(
    ("lock", "extras"), [(LOCKS[0], ["", "alerts", "embedded", "dev"]), (LOCKS[1], ["", "alerts"])]
)
def test_a_lock_holds_what_the_project_asks_for_in_versions_it_allows(lock: str, extras: list[str]) -> None:
    versions = locked(lock)
    for wanted in (Requirement(text) for extra in extras for text in project()[extra]):
        assert wanted.name in versions, f"{wanted} is missing: run .ci/lock"
        assert wanted.specifier.contains(versions[wanted.name].split(" ;")[0]), f"{wanted} is outdated: run .ci/lock"


def test_what_runs_in_production_is_part_of_what_was_tested() -> None:
    assert locked(LOCKS[1]).items() <= locked(LOCKS[0]).items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert len(re.findall(r" \\\n    --hash=sha256:[0-9a-f]{64}", text)) >= len(locked(lock)) > 20
    assert len(re.findall(r"^[a-z0-9-]+==.* \\\n    --hash=sha256:", text, re.MULTILINE)) == len(locked(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_the_peers_of_the_benchmarks_are_in_no_lock(lock: str) -> None:
    assert {Requirement(text).name for text in project()["bench"]}.isdisjoint(locked(lock))
