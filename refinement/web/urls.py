"""All screens. One views file a screen; names are what templates and tests use."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from refinement.web import accounts, models_pages, projects

urlpatterns: list[URLPattern | URLResolver] = [
    *accounts.urlpatterns,
    *projects.urlpatterns,
    *models_pages.urlpatterns,
]

urlpatterns += [
    path("", include(module))
    for module, needs in (
        ("refinement.web.review", "refinement.web.review"),
        ("refinement.web.health", "refinement.web.health"),
        ("refinement.web.datasets", "refinement.services.datasets"),
        ("refinement.web.runs", "refinement.web.runs"),
        ("refinement.web.exports", "refinement.web.exports"),
    )
    if find_spec(needs)
]
