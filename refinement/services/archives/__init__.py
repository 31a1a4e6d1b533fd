"""A project as one file: written from one installation, read into another. docs/backup.md."""

from refinement.services.archives.reading import import_project
from refinement.services.archives.tables import ArchiveError
from refinement.services.archives.writing import export_project

__all__ = ["ArchiveError", "export_project", "import_project"]
