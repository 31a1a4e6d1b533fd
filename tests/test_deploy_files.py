"""Dockerfile and compose file, held against the code: drift shows without an engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from refinement.services.dispatch import QUEUES
from srt_web import celery_app

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRETS = {"SRT_SECRET_KEY", "POSTGRES_PASSWORD", "VALKEY_PASSWORD"}


def settings_names() -> set[str]:
    source = (ROOT / "srt_web" / "settings.py").read_text()
    return set(re.findall(r'"(SRT_[A-Z_]+|DATABASE_URL)"', source))


def celery_commands() -> dict[str, list[str]]:
    commands = {name: SERVICES[name].get("command", []) for name in OURS}
    return {name: command for name, command in commands.items() if command[:1] == ["celery"]}


def option(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_the_services_are_those_that_the_design_names() -> None:
    assert {"web", "migrate", "teacher", "student", "default", "beat"} <= OURS
    assert {"postgres", "valkey", "flower"} == set(SERVICES) - OURS
    assert SERVICES["flower"]["profiles"] == ["flower"], "only for those who ask for it"
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["flower"]["ports"])


def test_every_setting_that_is_passed_is_one_that_the_code_reads() -> None:
    known = settings_names()
    passed = {key for name in OURS for key in SERVICES[name]["environment"]}
    baked = set(re.findall(r"\b(SRT_[A-Z_]+)=", DOCKERFILE))

    assert passed <= known
    assert baked <= known
    assert {"DATABASE_URL", "SRT_BROKER_URL", "SRT_SECRET_KEY"} <= passed


def test_the_workers_serve_every_queue_that_the_code_sends_to() -> None:
    served = {
        option(command, "-Q") for command in celery_commands().values() if "worker" in command
    }

    assert served == set(QUEUES.values())


def test_the_database_is_measured_with_the_settings_that_it_is_given() -> None:
    program, *options = SERVICES["postgres"]["command"]
    usual = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", option) for option in options[1::2]]
    settings = dict(option.split("=") for option in usual)
    assert (program, options[::2]) == ("postgres", ["-c"] * len(settings))
    bench = (ROOT / "benchmarks" / "large_run.py").read_text()
    assert dict(re.findall(r"ALTER SYSTEM SET (\w+) = '(\w+)'", bench)) == settings


def test_decisions_are_measured_with_the_web_server_s_processes_and_threads() -> None:
    [usual] = re.findall(r'GUNICORN_CMD_ARGS="--workers (\d+) --threads (\d+)"', DOCKERFILE)
    bench = (ROOT / "benchmarks" / "deciding.py").read_text()
    defaults = dict(re.findall(r'"--(processes|threads)", type=int, default=(\d+)', bench))
    assert (defaults["processes"], defaults["threads"]) == usual


def test_every_celery_command_is_one_that_celery_takes() -> None:
    for name, command in celery_commands().items():
        assert option(command, "-A") == "srt_web", name
        parts = [part for part in command[1:] if part not in ("-A", "srt_web")]
        # --help makes click check the sub-command and stop before anything starts.
        result = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "srt_web", parts[0], "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for flag in (part for part in parts if part.startswith("-")):
            assert flag in result.stdout, f"{name}: celery {parts[0]} knows no {flag}"
    assert celery_app.main == "srt_web"


def test_management_commands_exist() -> None:
    named = [
        command[2]
        for command in (SERVICES[name].get("command", []) for name in OURS)
        if command[:2] == ["python", "manage.py"]
    ]

    assert named == ["migrate"]
    assert set(named) <= set(get_commands())


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", text)
        assert uses, name
        assert all(use.startswith(":?") for use in uses), f"{name} may be missing or has a default"
    example = (ROOT / ".env.example").read_text()
    for name in SECRETS:
        assert re.search(rf"^{name}=$", example, re.MULTILINE), (
            f"{name} has a value in .env.example"
        )


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
    described = set(
        re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )

    assert used - {"SRT_LOG_LEVEL"} <= described
    assert described <= used


def test_every_lasting_service_has_a_health_check() -> None:
    lasting = {name for name, service in SERVICES.items() if service.get("restart") != "no"}

    assert {name for name in lasting if "healthcheck" not in SERVICES[name]} == set()
    assert lasting == set(SERVICES) - {"migrate"}


def test_the_published_port_is_the_one_that_the_server_listens_on() -> None:
    listens = re.search(r'"--bind", "0\.0\.0\.0:(\d+)"', DOCKERFILE)
    assert listens is not None
    [published] = SERVICES["web"]["ports"]

    assert published.rsplit(":", 1)[1] == listens[1]
    assert f"EXPOSE {listens[1]}" in DOCKERFILE
    assert f":{listens[1]}/healthz" in " ".join(SERVICES["web"]["healthcheck"]["test"])


def test_both_images_run_as_a_plain_user() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    finals = {stage.splitlines()[0].split(" AS ")[1]: stage for stage in stages}

    assert set(finals) == {"base", "cpu", "gpu"}
    for name in ("cpu", "gpu"):
        users = re.findall(r"^USER (\w+)$", finals[name], re.MULTILINE)
        assert users == ["srt"], name
        assert finals[name].index("USER srt") > finals[name].rindex("RUN ")
    targets = {SERVICES[name]["build"]["target"] for name in OURS}
    assert targets == {"cpu", "gpu"}


def test_shell_lines_of_the_dockerfile_parse() -> None:
    joined = DOCKERFILE.replace("\\\n", " ")
    for line in re.findall(r"^RUN (.+)$", joined, re.MULTILINE):
        assert shlex.split(line)
        subprocess.run(["sh", "-n", "-c", line], check=True)


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    != 0,
    reason="the docker compose plugin is not installed",
)
def test_docker_compose_accepts_the_file() -> None:
    env = dict.fromkeys(SECRETS, "x") | {"SRT_ALLOWED_HOSTS": "localhost", "PATH": "/usr/bin:/bin"}
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, env=env, check=True)
