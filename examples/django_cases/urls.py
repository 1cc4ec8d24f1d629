"""Where the program's pages are."""

from django.urls import path

from examples.django_cases import views

urlpatterns = [
    path("cases", views.cases),
    path("cases/<int:case_id>/call", views.call),
]
