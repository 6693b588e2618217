"""Keyward for Django and Django REST framework. The setting KEYWARD says how; docs/clients.md has all of it.

INSTALLED_APPS = [..., "keyward.django"]
KEYWARD = {"SERVERS": "keyward.internal:50051", "TOKEN_FILE": "/run/secrets/keyward-token"}
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["keyward.django.authentication.KeywardAuthentication"]}
"""
