"""Pushing an export to a Hugging Face repository, by the client that Hugging Face publishes."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from refinement.models import Export, Push
from refinement.services.dispatch import wake
from refinement.services.errors import ServiceError
from refinement.services.exports import folder_of
from refinement.services.leases import Lease, LeaseLost

if TYPE_CHECKING:
    from refinement.models import User

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - the name of a variable
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
# Only variables that are meant for it: what is named here is sent to the hub.
_TOKEN_VARIABLES = re.compile(r"HF_TOKEN(_[A-Z0-9_]{1,60})?")
_UPLOADER = Path(__file__).with_name("hub_upload.py")
_PATIENCE = 5.0  # seconds between two looks at the upload
_ONLINE = {
    "HF_HUB_OFFLINE": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def create_push(
    *,
    export: Export,
    user: User | None,
    repository: str,
    private: bool = True,
    token_variable: str = TOKEN_VARIABLE,
) -> Push:
    """Ask for the upload of a ready export. Raises ServiceError."""
    if export.status != Export.Status.READY:
        raise ServiceError(gettext("Only an export that is written can be pushed."))
    check_names(repository, token_variable)
    with transaction.atomic():
        push = Push.objects.create(
            export=export,
            repository=repository,
            private=private,
            token_variable=token_variable,
            created_by=user,
        )
        wake("refinement.push_export", push.pk)
    return push


def check_names(repository: str, token_variable: str) -> None:
    """Raises ServiceError."""
    if not _REPOSITORY.fullmatch(repository):
        raise ServiceError(
            gettext("“%(name)s” is no name of a repository: it is owner/name.")
            % {"name": repository}
        )
    if not _TOKEN_VARIABLES.fullmatch(token_variable):
        raise ServiceError(gettext("The token's variable is HF_TOKEN, or begins with HF_TOKEN_."))


def push_export(*, push_id: int) -> None:
    """Upload; the worker's task. Ends in ``done`` or ``failed``. Twice makes one commit more."""
    lease = Lease.claim(Push, push_id, waiting=Push.Status.PENDING, working=Push.Status.PUSHING)
    if lease is None:
        return
    push = Push.objects.select_related("export__run", "export__dataset").get(pk=push_id)
    try:
        url = upload_folder(
            folder_of(push.export),
            repository=push.repository,
            private=push.private,
            token_variable=push.token_variable,
            message=f"Export {push.export_id} of {push.export.run or push.export.dataset}",
            lease=lease,
        )
        lease.finish(status=Push.Status.DONE, url=url, error="")
    except ServiceError as error:
        lease.finish(status=Push.Status.FAILED, error=str(error))
    except LeaseLost:
        logger.warning("push %d: taken over by another worker, or deleted", push_id)


def upload_folder(
    folder: Path,
    *,
    repository: str,
    private: bool,
    token_variable: str,
    message: str,
    lease: Lease | None = None,
) -> str:
    """The address of the commit. Raises ServiceError, and LeaseLost once ``lease`` is lost."""
    check_names(repository, token_variable)
    if not folder.is_dir():
        raise ServiceError("The stored files are gone from the server. Export again.")
    wanted = json.dumps(
        {
            "folder": str(folder),
            "repository": repository,
            "private": private,
            "token_variable": token_variable,
            "message": message,
        }
    )
    with subprocess.Popen(
        [sys.executable, "-P", str(_UPLOADER)],
        env=os.environ | _ONLINE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as uploader:
        try:
            said = _wait(uploader, wanted, lease)
        finally:
            uploader.kill()
    return _url(said)


def _wait(uploader: subprocess.Popen[str], wanted: str, lease: Lease | None) -> str:
    asked: str | None = wanted
    while True:
        try:
            said, _ = uploader.communicate(asked, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            asked = None
            if lease is not None and lease.nearly_over():
                lease.renew()
        else:
            return said


def _url(said: str) -> str:
    try:
        answer = json.loads(said)
    except ValueError:
        raise ServiceError("The upload broke off. Its log has the reason; try again.") from None
    if "error" in answer:
        raise ServiceError(answer["error"])
    return str(answer["url"])
