from django.apps import AppConfig


class KeywardConfig(AppConfig):
    """Checks the setting KEYWARD when the project starts."""

    name = "keyward.django"
    label = "keyward"
    verbose_name = "Keyward"

    def ready(self) -> None:
        from . import checks  # noqa: F401
