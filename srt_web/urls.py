"""All addresses. Screens live in refinement/web, one file each; programs come to refinement/api."""

from django.urls import include, path

urlpatterns = [
    path("", include("refinement.web.urls")),
    path("api/v1/", include(("refinement.api.app", "api"))),
]
