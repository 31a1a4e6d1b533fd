"""The papers beside an exported file: manifest, dataset card, LLaMA-Factory's entry.

Sources: Hugging Face's dataset card metadata (the YAML block at the head of README.md, with
``configs`` naming the files of each split), and LLaMA-Factory's ``data/README.md``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from refinement.formats.registry import shape_of
from refinement.formats.shape import LAST
from refinement.formats.writing.targets import MESSAGES_TAGS, SHAREGPT_TAGS

if TYPE_CHECKING:
    from refinement.models import Dataset, Run
    from refinement.services.export_file import Written
    from refinement.services.export_options import ExportOptions

MANIFEST, CARD, ENTRY = "manifest.json", "README.md", "dataset_info.json"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def papers(
    dataset: Dataset,
    run: Run | None,
    options: ExportOptions,
    written: Written,
    manifest: dict[str, Any],
) -> dict[str, str]:
    """Texts by the name of their file."""
    made = {
        MANIFEST: json_text(manifest),
        CARD: dataset_card(run.name if run else dataset.name, options, written, manifest),
    }
    entries = dataset_info(dataset, options, written, run.name if run else dataset.name)
    return made | ({ENTRY: json_text(entries)} if entries else {})


def json_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


# -- LLaMA-Factory --------------------------------------------------------------------------------
def dataset_info(
    dataset: Dataset, options: ExportOptions, written: Written, name: str
) -> dict[str, Any]:
    """An entry for each file; empty for a shape that LLaMA-Factory does not read."""
    entry = _entry(dataset, options)
    if entry is None or options.container == "csv":
        return {}
    columns = dict(entry["columns"])
    for further in ("system", "history", "tools"):
        if further in written.fields and further not in columns:
            columns[further] = further
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "srt"
    return {
        f"{stem}_{file.split}": {"file_name": file.name, **entry, "columns": columns}
        for file in written.files
    }


def _entry(dataset: Dataset, options: ExportOptions) -> dict[str, Any] | None:
    target = options.target
    if target is not None:
        return dict(target.entry) if target.entry else None
    theirs = shape_of(
        dataset.format or "alpaca", dataset.mapping, turns=dataset.options.get("turns", LAST)
    ).mapping
    if any("." in name or "[" in name for name in theirs.values()):
        return None  # within a field: no column that could be named
    if "messages" in theirs:
        return _chat_entry(dataset.format, theirs)
    if not {"instruction", "output"} <= set(theirs):
        return None
    columns = {"prompt": theirs["instruction"], "response": theirs["output"]}
    return {"columns": columns | ({"query": theirs["input"]} if "input" in theirs else {})}


def _chat_entry(shape: str, theirs: dict[str, str]) -> dict[str, Any]:
    tags = SHAREGPT_TAGS if shape == "sharegpt" else MESSAGES_TAGS
    return {
        "formatting": "sharegpt",
        "columns": {"messages": theirs["messages"]},
        "tags": tags | {"role_tag": theirs["role"], "content_tag": theirs["content"]},
    }


# -- Hugging Face ---------------------------------------------------------------------------------
def dataset_card(
    name: str, options: ExportOptions, written: Written, manifest: dict[str, Any]
) -> str:
    """README.md: metadata for the hub, and the figures of the run for people."""
    sections = [_head(name, written), f"# {_plain(name)}\n", _about(manifest)]
    if "counts" in manifest:
        sections += [_selection(manifest), _means(manifest["means"]), _models(manifest)]
    sections.append(_files(options, written))
    return "\n".join(sections)


def _head(name: str, written: Written) -> str:
    size = next((label for limit, label in _SIZES if written.rows < limit), "n>1M")
    lines = ["---", f"pretty_name: {json.dumps(name)}", "task_categories:", "- text-generation"]
    lines += ["tags:", "- instruction-tuning", "- selective-reflection-tuning"]
    lines += ["size_categories:", f"- {size}", "configs:", "- config_name: default"]
    lines.append("  data_files:")
    for file in written.files:
        if file.rows:  # a split without rows cannot be loaded
            lines += [f"  - split: {file.split}", f"    path: {file.name}"]
    if not written.rows:
        lines[-1] = "  data_files: []"
    return "\n".join([*lines, "---", ""])


def _about(manifest: dict[str, Any]) -> str:
    source = f"“{_plain(manifest['dataset']['name'])}” ({manifest['dataset']['samples']:,} samples)"
    if "run" not in manifest:
        return f"{source}, as it was imported.\n"
    return (
        f"Instruction-tuning pairs from {source}, refined by Selective Reflection-Tuning "
        "([arXiv 2402.10110](https://arxiv.org/abs/2402.10110)): a teacher rewrote each pair, the "
        "student's own losses chose which rewrite to learn from, and people's decisions count over "
        "both.\n"
    )


def _selection(manifest: dict[str, Any]) -> str:
    counts, decisions = manifest["counts"], manifest["decisions"]
    sources = counts["kept_by_source"]
    rows = [
        ("pairs looked at", counts["total"]),
        ("kept", counts["kept"]),
        ("– with the original text", sources["original"]),
        ("– with a rewritten instruction and its answer", sources["instruction"]),
        ("– with a rewritten response", sources["response"]),
        ("– edited by a person", sources["edit"]),
        ("dropped", counts["dropped"]),
        ("failed or unfinished", counts["failed"] + counts["unfinished"]),
        ("decided by people", sum(decisions["by_action"].values())),
        ("– otherwise than the student", decisions["overrides"]),
    ]
    rows += [(f"left out: {why.replace('_', ' ')}", n) for why, n in manifest["left_out"].items()]
    lines = "\n".join(f"| {what} | {count:,} |" for what, count in rows)
    return f"## Selection\n\n| | pairs |\n| --- | ---: |\n{lines}\n"


def _means(means: dict[str, float | None]) -> str:
    rows = [
        (label, means[f"{name}_before"], means[f"{name}_after"])
        for label, name in (
            ("IFD (how much is left to learn; below 1 the instruction helps)", "ifd"),
            ("r-IFD (lower: the response tells more of its instruction)", "r_ifd"),
            ("length of the response, in the student's tokens", "response_tokens"),
        )
    ]
    lines = "\n".join(f"| {label} | {_number(a)} | {_number(b)} |" for label, a, b in rows)
    return (
        f"Means over the kept pairs:\n\n| | original | exported |\n| --- | ---: | ---: |\n{lines}\n"
    )


def _models(manifest: dict[str, Any]) -> str:
    teacher, student, policy = manifest["teacher"], manifest["student"], manifest["policy"]
    switches = ", ".join(f"`{key}` {value}" for key, value in policy.items() if key != "name")
    return (
        "## How it was made\n\n"
        f"- Teacher: {_plain(teacher['model'])} (protocol {teacher['protocol']}, temperature "
        f"{teacher['temperature']}, prompts {_plain(str(teacher['prompt_version']))})\n"
        f"- Student: {_plain(student['model'] or student['name'])}, template "
        f"{student['template']}, fingerprint `{student['fingerprint'][:16]}`\n"
        f"- Policy: {policy['name']} ({switches})\n"
    )


def _files(options: ExportOptions, written: Written) -> str:
    lines = "\n".join(
        f"| `{file.name}` | {file.rows:,} | `{file.sha256}` |" for file in written.files
    )
    return (
        f"## Files\n\nShape `{options.shape}`, in the order of the dataset. `{MANIFEST}` says all "
        f"of this for programs.\n\n| file | rows | SHA-256 |\n| --- | ---: | --- |\n{lines}\n"
    )


def _plain(text: str) -> str:
    """A name as text: it may hold anything, and must not become a link or markup."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"
