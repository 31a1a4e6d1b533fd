"""All screens. One views file a screen; names are what templates and tests use."""

from django.urls import URLPattern, URLResolver

from refinement.web import (
    accounts,
    audit,
    bulk,
    chunks,
    datasets,
    export_page,
    exports,
    health,
    models_pages,
    money,
    pictures,
    prepare,
    projects,
    review,
    review_people,
    review_sharing,
    rounds,
    runs,
    tokens,
    trials,
)

urlpatterns: list[URLPattern | URLResolver] = [
    *accounts.urlpatterns,
    *audit.urlpatterns,
    *projects.urlpatterns,
    *datasets.urlpatterns,
    *chunks.urlpatterns,
    *prepare.urlpatterns,
    *runs.urlpatterns,
    *trials.urlpatterns,
    *money.urlpatterns,
    *rounds.urlpatterns,
    *pictures.urlpatterns,
    *review.urlpatterns,
    *review_sharing.urlpatterns,
    *review_people.urlpatterns,
    *exports.urlpatterns,
    *export_page.urlpatterns,
    *bulk.urlpatterns,
    *models_pages.urlpatterns,
    *health.urlpatterns,
    *tokens.urlpatterns,
]
