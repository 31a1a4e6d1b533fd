"""The Kubernetes example, held against code and compose file: drift shows without a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from django.urls import resolve

from refinement.pipeline.teaching import GRACE_SECONDS
from refinement.services.dispatch import QUEUES
from srt_web import settings

if TYPE_CHECKING:
    from django.test import Client

ROOT = Path(__file__).resolve().parent.parent
ITEMS: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy" / "kubernetes.yaml").read_text())[
    "items"
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in ITEMS if item["kind"] == kind}


DEPLOYMENTS = of_kind("Deployment")


def pod(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]
    return found


def container(item: dict[str, Any]) -> dict[str, Any]:
    [found] = pod(item)["containers"]
    return dict(found)


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [*DEPLOYMENTS.items(), *of_kind("Job").items()]


def test_there_is_a_deployment_for_web_for_each_queue_and_for_beat() -> None:
    assert set(DEPLOYMENTS) == {"web", "beat", *QUEUES.values()}
    assert DEPLOYMENTS["beat"]["spec"]["replicas"] == 1
    assert DEPLOYMENTS["beat"]["spec"]["strategy"] == {"type": "Recreate"}


def test_processes_are_started_as_the_compose_file_starts_them() -> None:
    for name in {*QUEUES.values(), "beat"}:
        compose = COMPOSE["student-gpu" if name == "student" else name]["command"]
        assert container(DEPLOYMENTS[name])["command"] == compose, name
    assert "command" not in container(DEPLOYMENTS["web"]), "the image's own"
    assert container(of_kind("Job")["migrate"])["command"] == COMPOSE["migrate"]["command"]
    for name in QUEUES.values():
        probe = container(DEPLOYMENTS[name])["livenessProbe"]["exec"]["command"][-1]
        assert probe == COMPOSE[name]["healthcheck"]["test"][-1].replace("$$", "$"), name


def test_every_setting_is_one_that_the_code_reads_and_no_secret_has_a_value() -> None:
    source = (ROOT / "srt_web" / "settings.py").read_text()
    text = (ROOT / "deploy" / "kubernetes.yaml").read_text()
    known = set(re.findall(r'"(SRT_[A-Z_]+|DATABASE_URL)"', source))
    given = set(of_kind("ConfigMap")["srt-web"]["data"])
    given |= set(re.findall(r"# (SRT_[A-Z_]+): ", text))  # those to be filled in
    given |= {entry["name"] for _, item in pods() for entry in container(item).get("env", [])}

    assert given <= known
    assert not given & {"SRT_SECRET_KEY", "DATABASE_URL", "SRT_BROKER_URL", "SRT_METRICS_TOKEN"}
    assert of_kind("Secret") == {}
    assert {"DATABASE_URL", "SRT_BROKER_URL", "SRT_SECRET_KEY"} <= set(
        re.findall(r"--from-literal=([A-Z_]+)=", text)
    )


@pytest.mark.django_db
def test_the_probes_ask_what_the_server_answers(client: Client) -> None:
    web = container(DEPLOYMENTS["web"])
    [port] = web["ports"]
    for probe in (web["livenessProbe"], web["readinessProbe"]):
        path = probe["httpGet"]["path"]
        assert resolve(path.partition("?")[0])
        assert client.get(path, headers={"host": "localhost"}).status_code == 200
        assert probe["httpGet"]["port"] == port["containerPort"]
    assert client.get("/readyz").status_code == 503, "no worker lives here"
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"0.0.0.0:{port['containerPort']}" in dockerfile


def test_a_pod_has_the_time_that_its_process_takes_to_stop() -> None:
    for name in QUEUES.values():
        assert pod(DEPLOYMENTS[name])["terminationGracePeriodSeconds"] > 5 * GRACE_SECONDS
        assert pod(DEPLOYMENTS[name])["terminationGracePeriodSeconds"] <= settings.LEASE_SECONDS
    strategy = DEPLOYMENTS["web"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}


def test_nothing_begins_before_the_migrations_are_done() -> None:
    for name, item in DEPLOYMENTS.items():
        [first] = pod(item)["initContainers"]
        assert "manage.py migrate --check" in first["command"][-1], name


def test_every_container_is_a_plain_user_on_a_disk_that_it_cannot_write() -> None:
    user = re.search(r"useradd --uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert user is not None
    for name, item in pods():
        assert pod(item)["securityContext"]["runAsUser"] == int(user[1]), name
        assert pod(item)["securityContext"]["runAsNonRoot"] is True
        for one in [container(item), *pod(item).get("initContainers", [])]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
            assert mounts == {"files": "/data", "models": "/models", "tmp": "/tmp"}  # noqa: S108
            assert set(mounts) == {volume["name"] for volume in pod(item)["volumes"]}
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod(DEPLOYMENTS["web"])["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == set(of_kind("PersistentVolumeClaim"))
    modes = of_kind("PersistentVolumeClaim")["srt-files"]["spec"]["accessModes"]
    assert modes == ["ReadWriteMany"]


def test_the_service_finds_the_web_pods() -> None:
    service = of_kind("Service")["web"]["spec"]
    labels = DEPLOYMENTS["web"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"] == labels
    for name, item in DEPLOYMENTS.items():
        chosen = item["spec"]["selector"]["matchLabels"]
        assert chosen == item["spec"]["template"]["metadata"]["labels"], name
    parts = {item["spec"]["selector"]["matchLabels"]["part"] for item in DEPLOYMENTS.values()}
    assert parts == set(DEPLOYMENTS)
