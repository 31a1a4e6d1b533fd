"""The product with all its processes, started once for the modules beside this file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import browser, scheme, visit
from tests.conftest import database_address
from tests.kept_rows import rows_kept
from tests.whole.product import KEY, KEY_VARIABLE, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.plugin import DjangoDbBlocker

__all__ = ["browser", "scheme", "visit"]


@pytest.fixture(scope="package")
def everything(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    env = {"DATABASE_URL": database_address(), KEY_VARIABLE: KEY, "SRT_LOG_LEVEL": "DEBUG"}
    product = Product(folder=tmp_path_factory.mktemp("product"), env=env)
    with rows_kept(django_db_blocker):  # its workers write to the end that they are alive
        try:
            product.start()
            yield product
        finally:
            product.stop()


@pytest.fixture
def product(everything: Product, transactional_db: None) -> Iterator[Product]:
    """Without a teacher; the one that a test starts ends with it."""
    yield everything
    if "fake" in everything.running:
        everything.kill("fake")
