"""All screens. One views file a screen; names are what templates and tests use."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
