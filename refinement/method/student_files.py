"""Is there a student at this path, and which? Told by its files alone, without torch."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refinement.method.errors import StudentError

WANTED = "a folder with config.json, a tokenizer and *.safetensors files, or one .gguf file"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
DESCRIBING = (  # whole files that change what the student says
    "config.json",
    ADAPTER,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
)
SAMPLE_BYTES = 64 * 1024
SAMPLES = 16  # places of a weight file that are read
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def locate(path: str, revision: str = "") -> Path:
    """The local file or folder meant by ``path``: itself, or a hub id that was downloaded before.

    Nothing is fetched. Raises StudentError where there is nothing.
    """
    place = Path(path).expanduser()
    try:
        if path and "\0" not in path and place.exists():
            return place.resolve()
    except OSError as error:
        raise StudentError(f"The student path {path!r} cannot be read: {error.strerror}.") from None
    cached = _downloaded(path, revision) if HUB_ID.fullmatch(path) else None
    if cached is None:
        raise StudentError(f"There is no student at '{path}': give {WANTED}.")
    return cached


def check_student_path(path: str, revision: str = "") -> None:
    """Raise StudentError, with a sentence for the user, unless a student can be loaded from here.

    Weights that are pickles are refused, as are models that bring code of their own: loading one
    would run it.
    """
    place = locate(path, revision)
    try:
        if is_adapter(place):
            _check_adapter(place)
        elif place.is_dir():
            _check_folder(place)
        else:
            _check_gguf(place)
    except PermissionError as error:
        raise StudentError(f"The student file {error.filename} may not be read.") from None


def check_chat_template(path: str, revision: str = "") -> None:
    """Raise StudentError where the files show that the tokenizer has no chat template.

    A GGUF file is not looked into: there it shows when the student is loaded.
    """
    place = locate(path, revision)
    places = [place, base_of(place)] if is_adapter(place) else [place]
    if place.is_dir() and not any(_has_chat_template(p) for p in places if p.is_dir()):
        raise StudentError(
            f"The tokenizer at {place} has no chat template: choose a text template, or add a "
            "chat_template.jinja."
        )


def fingerprint(path: str, revision: str = "") -> str:
    """64 hex digits that name the student, wherever its files lie.

    SHA-256 over each file's name and size, with the whole content of configuration and tokenizer
    and, of each weight file, sixteen evenly spaced blocks of 64 KiB (the first holds the names and
    shapes, the last the end of the file): quick for any size, and training changes every block. An
    adapter's holds that of its base.
    """
    place = locate(path, revision)
    digest = hashlib.sha256()
    if is_adapter(place):
        digest.update(fingerprint(str(base_of(place))).encode())
    if place.is_file():
        _add(digest, "model.gguf", place, whole=False)
        return digest.hexdigest()
    describing = {file for pattern in DESCRIBING for file in place.glob(pattern) if file.is_file()}
    weights = set(place.glob("*.safetensors"))
    for file in sorted(describing | weights, key=lambda f: f.name):
        _add(digest, file.name, file, whole=file not in weights)
    return digest.hexdigest()


def is_adapter(place: Path) -> bool:
    """Whether the folder holds a PEFT adapter, not a model of its own."""
    return (place / ADAPTER).is_file() and not (place / "config.json").is_file()


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def base_of(adapter: Path) -> Path:
    """The folder or file of the model that an adapter was trained on.

    ``base_model_name_or_path`` of its configuration: a path, also one relative to the adapter, or
    the id of a model that was downloaded before. Raises StudentError.
    """
    described = _described(adapter / ADAPTER)
    name, revision = described.get("base_model_name_or_path"), described.get("revision")
    if not isinstance(name, str) or not name or not isinstance(revision, str | None):
        raise StudentError(
            f"{adapter / ADAPTER} does not name the model that it is for: fill in "
            "base_model_name_or_path."
        )
    try:
        place = locate(str(adapter / name) if (adapter / name).exists() else name, revision or "")
    except StudentError:
        raise StudentError(
            f"The model '{name}' that the adapter at {adapter} is for is not here: download it, or "
            f"put its path into {ADAPTER}."
        ) from None
    if is_adapter(place):
        raise StudentError(f"{adapter} is an adapter of an adapter: merge {place} first.")
    return place


def _downloaded(repo_id: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError):
        return None


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        if next(folder.glob("*.gguf"), None):
            raise StudentError(f"{folder} holds a .gguf file: give the path of that file itself.")
        raise StudentError(f"{folder} has no config.json: give {WANTED}.")
    described = _described(config)
    if described.get("auto_map") and not _is_known(str(described.get("model_type"))):
        raise code_refused(folder)
    if not has_tokenizer(folder):
        raise StudentError(f"{folder} has no tokenizer: save the model's tokenizer into it.")
    _check_weights(folder)


def code_refused(folder: Path) -> StudentError:
    """What a user is told of a model that only its own code can load (``trust_remote_code``)."""
    return StudentError(
        f"The model at {folder} can only be loaded by program code that comes with it, which is "
        "never run here: choose one that transformers itself knows, or convert it to one."
    )


def _is_known(model_type: str) -> bool:
    """Whether transformers has this kind of model itself; then ``auto_map`` is only a leftover.

    Its lists are searched as text, since importing them takes torch along.
    """
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return False
    lists = (Path(spec.origin).parent / "models" / "auto").glob("*.py")
    return any(f'("{model_type}", ' in file.read_text(encoding="utf-8") for file in lists)


def _described(config: Path) -> dict[str, Any]:
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        raise StudentError(f"{config} is not JSON: download or save the model again.") from None
    if not isinstance(described, dict):
        raise StudentError(f"{config} does not describe a model: download or save it again.")
    return described


def _check_adapter(folder: Path) -> None:
    base = base_of(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise StudentError(
            f"{folder} has no {ADAPTER_WEIGHTS}: save the adapter again, as safetensors."
        )
    if base.is_dir():
        _check_folder(base)
    else:
        _check_gguf(base)


def _has_chat_template(folder: Path) -> bool:
    if any(folder.glob("chat_template*")):
        return True
    try:
        described = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and bool(described.get("chat_template"))


def _check_weights(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        missing = sorted(name for name in _shards(index) if not (folder / name).is_file())
        if missing:
            raise StudentError(f"{folder} lacks the weight file {missing[0]}: download it again.")
        return
    if next(folder.glob("*.safetensors"), None):
        return
    if any(next(folder.glob(pattern), None) for pattern in PICKLES):
        raise StudentError(
            f"{folder} holds its weights as pickle files, which can run code when loaded: "
            "save the model as safetensors first."
        )
    raise StudentError(f"{folder} has no weights: give {WANTED}.")


def _shards(index: Path) -> set[str]:
    """The weight files that an index names."""
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StudentError(f"{index} is broken: download or save the model again.") from None


def _check_gguf(file: Path) -> None:
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic != b"GGUF":
        raise StudentError(f"{file} is not a GGUF file: give {WANTED}.")


def _add(digest: hashlib._Hash, name: str, file: Path, *, whole: bool) -> None:
    size = file.stat().st_size
    digest.update(f"{name}\0{size}\0".encode())
    with file.open("rb") as stream:
        if whole:
            digest.update(stream.read())
            return
        last = max(0, size - SAMPLE_BYTES)
        for place in sorted({last * step // (SAMPLES - 1) for step in range(SAMPLES)}):
            stream.seek(place)
            digest.update(stream.read(SAMPLE_BYTES))
