from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RefinementConfig(AppConfig):
    name = "refinement"
    verbose_name = "Selective Reflection-Tuning"

    def ready(self) -> None:
        # models can only be read from here on
        from refinement.readmodel.install import install
        from refinement.services import accounts

        accounts.listen()
        post_migrate.connect(install, sender=self, dispatch_uid="refinement.readmodel")
