"""The manifest of an export: from what, by whom and under which settings a file came about."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.utils import timezone

from refinement.method.prompt_set import PromptSet
from refinement.method.specs import PolicySpec, StudentSpec, TeacherSpec, same_model
from refinement.selectors.lineage import lineage
from refinement.services.export_policy import with_policy

if TYPE_CHECKING:
    from datetime import datetime

    from refinement.models import Dataset, Run
    from refinement.services.export_file import Written
    from refinement.services.export_options import ExportOptions


def build_manifest(
    dataset: Dataset,
    run: Run | None,
    options: ExportOptions,
    written: Written,
    *,
    created_at: datetime | None = None,
) -> dict[str, Any]:
    """Plain JSON. Holds no key, no address beyond the teacher's host, no path of this machine."""
    manifest: dict[str, Any] = {
        "srt_web": _version(),
        "created_at": (created_at or timezone.now()).isoformat(),
        "options": _without_paths(options),
        "files": [_file(file) for file in written.files],
        "rows": written.rows,
        "left_out": dict(sorted(written.left_out.items())),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "format": dataset.format,
            "samples": dataset.sample_count,
        },
    }
    if written.example:
        manifest["first_not_of_this_shape"] = written.example
    if run and options.spec:
        run = with_policy(run, options.spec)
    return manifest | (_of_run(run, written) if run else {})


def _without_paths(options: ExportOptions) -> dict[str, Any]:
    told = options.as_dict()
    if told["policy"]:
        told["policy"] = told["policy"] | {"encoder": _last_part(told["policy"]["encoder"])}
    return told


def _file(file: Any) -> dict[str, Any]:
    told = asdict(file)
    notes: dict[str, Any] = told.pop("notes")
    return told | notes


def _of_run(run: Run, written: Written) -> dict[str, Any]:
    return {
        "run": {"id": run.pk, "name": run.name, "status": run.status},
        "rounds": _rounds(run),
        **_settings(run),
        "counts": _counts(written),
        "means": {
            name.removeprefix("mean_"): value if value is None else round(value, 6)
            for name, value in written.figures.items()
        },
        "decisions": {
            "by_action": dict(sorted(written.counts.actions.items())),
            "overrides": written.counts.overrides,
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
            "pairs": member.pairs,
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


def _counts(written: Written) -> dict[str, Any]:
    """Of the pairs that the filter leaves.

    ``kept``, ``dropped``, ``failed`` and ``unfinished`` together are ``total``.
    """
    counts = written.counts
    dropped = {
        reason: count
        for reason, count in sorted(counts.reasons.items())
        if reason not in {"failed", "unfinished"}
    }
    return {
        "total": counts.total,
        "kept": counts.kept,
        "kept_by_source": {
            source: counts.sources[source]
            for source in ("original", "instruction", "response", "edit")
        },
        "dropped": sum(dropped.values()),
        "dropped_by_reason": dropped,
        "failed": counts.failed,
        "unfinished": counts.unfinished,
        "unscorable": written.unscorable,
    }


def _last_part(name: str) -> str:
    """A local model's folder without the path to it; the name of a hub stays whole."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith(("/", "~", ".")) else name


def _version() -> str:
    try:
        return version("srt-web")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"
