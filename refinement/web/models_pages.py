"""Teachers and students: registered by staff, used by every project."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from refinement.models import Endpoint, Student
from refinement.web.http import Request, staff_only


@staff_only
@require_GET
def endpoints(request: Request) -> HttpResponse:
    context = {"endpoints": Endpoint.objects.all()}
    return render(request, "models/endpoints.html", context)


@staff_only
@require_GET
def students(request: Request) -> HttpResponse:
    return render(request, "models/students.html", {"students": Student.objects.all()})


urlpatterns = [
    path("teachers", endpoints, name="endpoints"),
    path("students", students, name="students"),
]
