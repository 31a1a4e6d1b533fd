"""Many rows at once, past the models: COPY on PostgreSQL, one prepared statement on SQLite.

A model object for each of a million rows costs more than the reading and writing of them.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.db import Error, connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db import models

    from refinement.models import Dataset


logger = logging.getLogger(__name__)


@contextmanager
def written_out_steadily() -> Iterator[None]:
    """PostgreSQL hands what it writes to the disk every half megabyte.

    Left to the system that happens after half a minute and all at once, and for up to a second
    everybody's commit waits behind it.
    """
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET backend_flush_after = '512kB'")
    except Error as error:  # the server's system has no way to ask for it
        logger.info("written out as the system likes: %s", error)
        yield
        return
    try:
        yield
    finally:
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute("RESET backend_flush_after")


def insert_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert ``rows`` of values for ``columns``, as the database takes them.

    No default of a field is applied and nothing is checked. JSON columns take JSON texts.
    """
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    names = ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({places})",  # noqa: S608 - our own names
                rows,
            )


def delete_rows(dataset: Dataset, *tables: type[models.Model]) -> None:
    """Delete a dataset's rows without loading them, as a queryset's delete() would to look for
    dependants. The database still refuses where a run depends on a sample."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f"DELETE FROM {quote(table._meta.db_table)} WHERE dataset_id = %s",  # noqa: S608
                [dataset.pk],
            )
