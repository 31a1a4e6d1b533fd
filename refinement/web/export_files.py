"""Handing out the files of an export: one of them, or all as a zip archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import FileResponse, Http404, StreamingHttpResponse
from django.utils.translation import gettext

from refinement.services.export_files import file_stem, media_type, path_of, zip_of

if TYPE_CHECKING:
    from django.http import HttpResponseBase

    from refinement.models import Export


def send_file(export: Export, name: str) -> HttpResponseBase:
    """Raises FileNotFoundError where the file is gone, Http404 where it never was."""
    path = path_of(export, name)
    if path is None:
        raise Http404(gettext("No such file."))
    return FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=f"{file_stem(export)}.{name}",
        content_type=media_type(name),
    )


def send_all(export: Export) -> StreamingHttpResponse:
    """Raises FileNotFoundError where a file is gone."""
    response = StreamingHttpResponse(zip_of(export), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{file_stem(export)}.zip"'
    return response
