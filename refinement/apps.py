from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, pre_migrate


class RefinementConfig(AppConfig):
    name = "refinement"
    verbose_name = "Selective Reflection-Tuning"

    def ready(self) -> None:
        # models can only be read from here on
        from refinement.readmodel.install import install, make_way
        from refinement.services import accounts

        accounts.listen()
        if settings.OTEL_ENDPOINT:
            from srt_web import tracing

            tracing.start(settings.OTEL_ENDPOINT)
        pre_migrate.connect(make_way, sender=self, dispatch_uid="refinement.readmodel")
        post_migrate.connect(install, sender=self, dispatch_uid="refinement.readmodel")
