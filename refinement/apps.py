from django.apps import AppConfig


class RefinementConfig(AppConfig):
    name = "refinement"
    verbose_name = "Selective Reflection-Tuning"

    def ready(self) -> None:
        from refinement.services import accounts  # models can only be read from here on

        accounts.listen()
