"""The manifest of an export: from what, by whom and under which settings a file came about."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.db.models import Count, Q
from django.utils import timezone

from refinement.method.prompt_set import PromptSet
from refinement.method.specs import PolicySpec, StudentSpec, TeacherSpec, same_model
from refinement.models import Score
from refinement.selectors.lineage import lineage

if TYPE_CHECKING:
    from datetime import datetime

    from refinement.models import Run
    from refinement.services.export_file import ExportOptions, Tally


def build_manifest(
    run: Run, options: ExportOptions, tally: Tally, *, created_at: datetime | None = None
) -> dict[str, Any]:
    """Plain JSON. Holds no key, no address beyond the teacher's host, no path of this machine."""
    return {
        "srt_web": _version(),
        "created_at": (created_at or timezone.now()).isoformat(),
        "file": {
            "format": "alpaca",
            "container": "jsonl",
            "rows": tally.rows,
            "sha256": tally.sha256,
            **options.as_dict(),
        },
        "dataset": {"name": run.dataset.name, "sha256": run.dataset.sha256},
        "run": {"id": run.pk, "name": run.name, "status": run.status},
        "rounds": _rounds(run),
        **_settings(run),
        "counts": _counts(run, tally),
        "decisions": {
            "by_action": dict(sorted(tally.by_action.items())),
            "overrides": tally.overrides,
        },
    }


def _rounds(run: Run) -> list[dict[str, Any]]:
    """The runs that led to this one, the first round first; each began with a dataset."""
    return [
        {
            "round": member.number,
            "run": member.run.pk,
            "name": member.run.name,
            "dataset": {"name": member.dataset.name, "sha256": member.dataset.sha256},
            "pairs": member.dataset.sample_count,
            "teacher": _last_part(member.run.config.get("teacher", {}).get("model", "")),
            "student": _last_part(member.run.config.get("student", {}).get("path", "")),
            "prompt_version": member.run.config.get("prompt_version", ""),
        }
        for member in lineage(run)
    ]


def _settings(run: Run) -> dict[str, Any]:
    """What the run froze, not what the registries say now; the policy is the one that counts."""
    teacher = TeacherSpec.from_dict({"base_url": "", "model": "", **run.config.get("teacher", {})})
    student = StudentSpec.from_dict({"path": "", **run.config.get("student", {})})
    policy = PolicySpec.from_dict(run.config.get("policy", {}))
    address = urlsplit(teacher.base_url)
    return {
        "teacher": {
            "model": _last_part(teacher.model),
            "host": address.hostname or "",
            "protocol": teacher.protocol,
            "temperature": teacher.temperature,
            "prompt_version": run.config.get("prompt_version", ""),
            "edited_prompts": PromptSet.from_dict(run.config.get("prompts", {})).edited,
            "is_the_student": same_model(teacher.model, student.path),
            "questions": run.teacher_calls,
            "answered_from_storage": run.stored_answers,
            "prompt_tokens": run.prompt_tokens,
            "completion_tokens": run.completion_tokens,
            "cost": float(run.cost),
        },
        "student": {
            "name": run.student.name,
            "model": _last_part(student.path),
            "revision": student.revision,
            "fingerprint": run.student_fingerprint,
            "template": student.template,
            "dtype": student.dtype,
            "max_length": student.max_length,
        },
        "policy": policy.as_dict() | {"encoder": _last_part(policy.encoder)},
    }


def _counts(run: Run, tally: Tally) -> dict[str, Any]:
    """``kept``, ``dropped``, ``failed`` and ``unfinished`` together are ``total``."""
    unscorable = Score.objects.filter(run_sample__run=run, status="unscorable").aggregate(
        originals=Count("id", filter=Q(candidate=None)),
        rewrites=Count("id", filter=Q(candidate__isnull=False)),
    )
    return {
        "total": tally.total,
        "kept": tally.kept,
        "kept_by_source": {
            source: tally.by_source[source]
            for source in ("original", "instruction", "response", "edit")
        },
        "dropped": tally.dropped.total(),
        "dropped_by_reason": dict(sorted(tally.dropped.items())),
        "failed": tally.failed,
        "unfinished": tally.unfinished,
        "unscorable": unscorable,
    }


def _last_part(name: str) -> str:
    """A local model's folder without the path to it; the name of a hub stays whole."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith(("/", "~", ".")) else name


def _version() -> str:
    try:
        return version("srt-web")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"
