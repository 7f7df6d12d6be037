"""Audit: who changed what."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Register the audit app."""

    name = "apps.audit"
    label = "audit"
