"""Export what a run selects, or a dataset: ``manage.py export_dataset --run ID -o OUT.jsonl``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from refinement.formats.writing.containers import CONTAINERS
from refinement.formats.writing.targets import AS_IMPORTED, TARGETS
from refinement.management.policy_options import add_filter_options, filtered_policy
from refinement.management.quick import QuickCommand
from refinement.method.policies import POLICIES
from refinement.models import Dataset, Run
from refinement.services.errors import ServiceError
from refinement.services.export_options import COLUMNS, SIGNALS, filter_of
from refinement.services.export_papers import json_text
from refinement.services.exports import export_to_folder
from refinement.services.pushes import TOKEN_VARIABLE, check_names, upload_folder

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(QuickCommand):
    help = (
        "Export the selected pairs of a run, or a dataset as it was imported. With a file's name "
        "it writes that file and its manifest; with a folder's (ending in /) also a dataset card "
        "and LLaMA-Factory's dataset_info.json."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--run", type=int, metavar="ID", help="what this run selects")
        what.add_argument("--dataset", type=int, metavar="ID", help="this dataset, as it is")
        parser.add_argument("-o", "--output", required=True, metavar="OUT.jsonl|FOLDER/")
        parser.add_argument("--shape", default=AS_IMPORTED, choices=[AS_IMPORTED, *TARGETS])
        parser.add_argument(
            "--container", choices=[*CONTAINERS], help="default: told by the file's name, or jsonl"
        )
        parser.add_argument("--all", action="store_true", help="also what was not kept")
        parser.add_argument(
            "--filter",
            default="",
            metavar="QUERY",
            help="as in the address of the review queue: 'show=decided'",
        )
        parser.add_argument("--top", type=float, metavar="PERCENT", help="only the best of it")
        parser.add_argument("--top-by", choices=[*SIGNALS], default="ifd")
        policy = parser.add_argument_group("under another policy than the run's own")
        policy.add_argument("--policy", choices=sorted(POLICIES))
        add_filter_options(policy, any_response="also where its rewrite was not taken")
        parser.add_argument("--deduplicate", action="store_true", help="the same texts only once")
        parser.add_argument("--validation", type=float, default=0.0, metavar="PERCENT")
        parser.add_argument("--seed", type=int, default=0, help="of the split")
        parser.add_argument(
            "--columns",
            default="",
            metavar="NAMES",
            help=f"added as the field “srt”, separated by commas: {', '.join(COLUMNS)}",
        )
        parser.add_argument(
            "--with-scores", action="store_true", help="the same as --columns with all of them"
        )
        parser.add_argument(
            "--without-kept-records", action="store_true", help="no records that were kept as is"
        )
        parser.add_argument(
            "--push", metavar="OWNER/NAME", help="also to a Hugging Face repository"
        )
        parser.add_argument("--public", action="store_true", help="if --push makes the repository")
        parser.add_argument("--token-variable", default=TOKEN_VARIABLE, metavar="NAME")

    def handle(self, **options: Any) -> None:
        try:
            self._export(options)
        except ServiceError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Cannot write {options['output']}: {error.strerror}.") from error

    def _export(self, options: dict[str, Any]) -> None:
        if options["push"]:
            check_names(options["push"], options["token_variable"])
        output = Path(options["output"])
        into_folder = str(options["output"]).endswith("/") or output.is_dir()
        if options["validation"] and not into_folder:
            raise ServiceError("A split writes two files: name a folder, as in -o selected/")
        source = _source(options)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as scratch:
            folder = Path(scratch) / "export"
            manifest = export_to_folder(**source, folder=folder, options=_options(options, output))
            if options["push"]:
                self._push(folder, options)
            if into_folder:
                written = _into_folder(folder, output)
            else:
                written = _as_file(folder, output, manifest)
        self._tell(manifest, written)

    def _push(self, folder: Path, options: dict[str, Any]) -> None:
        url = upload_folder(
            folder,
            repository=options["push"],
            private=not options["public"],
            token_variable=options["token_variable"],
            message="Export by srt-web",
        )
        self.stdout.write(f"pushed: {url}")

    def _tell(self, manifest: dict[str, Any], written: list[Path]) -> None:
        about = ""
        if "counts" in manifest:
            counts = manifest["counts"]
            about = (
                f" ({counts['kept']:,} of {counts['total']:,} pairs kept, {counts['failed']:,} "
                f"failed, {counts['unfinished']:,} unfinished)"
            )
        for file, path in zip(manifest["files"], written, strict=False):
            self.stdout.write(f"{path}: {file['rows']:,} rows{about}")
        for why, count in manifest["left_out"].items():
            self.stdout.write(f"left out, {why.replace('_', ' ')}: {count:,}")
        if "first_not_of_this_shape" in manifest:
            self.stdout.write(f"the first of them is {manifest['first_not_of_this_shape']}")
        self.stdout.write(f"{written[-1]}: how it came about")


def _source(options: dict[str, Any]) -> dict[str, Any]:
    if options["run"] is not None:
        run = Run.objects.select_related("dataset", "student").filter(pk=options["run"]).first()
        if run is None:
            raise ServiceError(f"There is no run {options['run']}.")
        return {"run": run}
    dataset = Dataset.objects.filter(pk=options["dataset"]).first()
    if dataset is None:
        raise ServiceError(f"There is no dataset {options['dataset']}.")
    return {"dataset": dataset}


def _options(given: dict[str, Any], output: Path) -> dict[str, Any]:
    by_suffix = {".json": "json", ".parquet": "parquet", ".csv": "csv"}
    columns = [name.strip() for name in given["columns"].split(",") if name.strip()]
    if given["with_scores"]:
        columns = [*COLUMNS] if given["run"] is not None else ["lineage"]
    return {
        "include": "all" if given["all"] else "kept",
        "shape": given["shape"],
        "container": given["container"] or by_suffix.get(output.suffix, "jsonl"),
        "filter": filter_of(given["filter"]),
        "columns": columns,
        "deduplicate": given["deduplicate"],
        "top_percent": given["top"],
        "top_by": given["top_by"],
        "validation_percent": given["validation"],
        "seed": given["seed"],
        "kept_as_is": not given["without_kept_records"],
        "policy": filtered_policy(given).as_dict() if given["policy"] else {},
    }


def _into_folder(folder: Path, output: Path) -> list[Path]:
    """All files, the manifest last."""
    output.mkdir(exist_ok=True)
    names = sorted((path.name for path in folder.iterdir()), key=_order)
    for name in names:
        (folder / name).replace(output / name)
    return [output / name for name in names]


def _order(name: str) -> tuple[bool, bool, str]:
    return name == "manifest.json", not name.startswith(("train.", "validation.")), name


def _as_file(folder: Path, output: Path, manifest: dict[str, Any]) -> list[Path]:
    """The data under the name that was asked for, and the manifest beside it."""
    (file,) = manifest["files"]
    beside = output.with_name(f"{output.stem}.manifest.json")
    (folder / file["name"]).replace(output)
    file["name"] = output.name
    beside.write_text(json_text(manifest), "utf-8")
    return [output, beside]
