"""All addresses. Screens live in refinement/web, one file each."""

from django.urls import include, path

urlpatterns = [
    path("", include("refinement.web.urls")),
]
