"""A Hugging Face dataset folder on disk, as one file.

Known are what ``save_to_disk`` writes (a dataset, or one folder a split), and a folder of data
files as a repository holds them. Tables become one Arrow stream, JSON Lines one after the other.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from refinement.formats.errors import FormatError
from refinement.formats.streams import ByteSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TABLES = (".arrow", ".parquet")
_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst")
_SINGLE = (".json", ".csv", ".tsv", ".json.gz", ".csv.gz", ".json.zst", ".csv.zst")
_SPLIT = re.compile(r"(?:^|[-_./])(train|validation|valid|dev|test)(?:[-_./]|$)")


def data_files(folder: Path, split: str = "") -> list[Path]:
    """The data files of a folder, or of one ``split`` of it, in their order.

    Without a ``split`` it is ``train`` where there are several. Raises FormatError.
    """
    if (folder / "dataset_dict.json").is_file():
        listed = _json(folder / "dataset_dict.json").get("splits", [])
        chosen = _choose([str(name) for name in listed], split)
        return data_files(_inside(folder, chosen))
    if (folder / "state.json").is_file():
        told = _json(folder / "state.json").get("_data_files", [])
        return [_inside(folder, str(one["filename"])) for one in told]
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and _is_data(folder, p)]
    if not found:
        raise FormatError(None, f"There is no data in the folder {folder.name}.")
    splits = {path: _split_of(path.relative_to(folder)) for path in found}
    known = list(dict.fromkeys(name for name in splits.values() if name))
    if not known and not split:
        return found
    chosen = _choose(known, split)
    return [path for path in found if splits[path] == chosen]


def write_as_one(files: Sequence[Path], target: Path) -> None:
    """Put the data files together in one file at ``target``. Raises FormatError."""
    suffixes = {_suffix(path) for path in files}
    if suffixes <= set(_TABLES):
        _write_tables(files, target)
    elif suffixes <= set(_LINES):
        with target.open("wb") as out:
            for path in files:
                _append(path, out)
    elif len(files) == 1:
        shutil.copyfile(files[0], target)
    else:
        names = ", ".join(path.name for path in files[:4])
        raise FormatError(
            None, f"The folder holds several files that cannot be put together ({names}): send one."
        )


def _write_tables(files: Sequence[Path], target: Path) -> None:
    import pyarrow as pa

    writer = None
    try:
        for path in files:
            for batch in _record_batches(path):
                plain = batch.replace_schema_metadata(None)
                if writer is None:
                    writer = pa.ipc.new_stream(str(target), plain.schema)
                writer.write_batch(plain)
    except (pa.ArrowException, OSError) as error:
        what = (str(error).splitlines() or [""])[0][:200]
        raise FormatError(None, f"{path.name} cannot be read on ({what}).") from None
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise FormatError(None, "The folder holds no records.")


def _record_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if _suffix(path) == ".parquet":
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(1000, use_threads=False)
        return
    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            source.seek(0)
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(n) for n in range(reader.num_record_batches))
        else:
            source.seek(0)
            yield from pa.ipc.open_stream(source)


def _append(path: Path, out: object) -> None:
    last = b"\n"
    with ByteSource(path) as source:
        while data := source.read(1024**2):
            out.write(data)  # type: ignore[attr-defined]
            last = data[-1:]
    if last != b"\n":
        out.write(b"\n")  # type: ignore[attr-defined]


def _is_data(folder: Path, path: Path) -> bool:
    inner = path.relative_to(folder)
    hidden = any(part.startswith(".") for part in inner.parts)
    about = path.name in {"dataset_info.json", "dataset_infos.json", "state.json"}
    return not hidden and not about and bool(_suffix(path))


def _suffix(path: Path) -> str:
    name = path.name.lower()
    known = sorted((*_TABLES, *_LINES, *_SINGLE), key=len, reverse=True)
    return next((suffix for suffix in known if name.endswith(suffix)), "")


def _split_of(path: Path) -> str:
    match = _SPLIT.search(path.as_posix())
    return match[1] if match else ""


def _choose(names: Sequence[str], split: str) -> str:
    chosen = split or ("train" if "train" in names or len(names) != 1 else names[0])
    if chosen not in names:
        raise FormatError(
            None, f"The folder has no split “{chosen}”. It has: {', '.join(names) or 'none'}."
        )
    return chosen


def _inside(folder: Path, name: str) -> Path:
    """A file that the folder's own description names; it must lie in the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise FormatError(None, f"The folder names a file that is not in it: {name}.")
    return path


def _json(path: Path) -> dict[str, list[dict[str, object]]]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise FormatError(None, f"{path.name} in the folder is damaged.")
    return value
