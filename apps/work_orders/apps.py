"""WorkOrders: work orders."""

from django.apps import AppConfig


class WorkOrdersConfig(AppConfig):
    """Register the work_orders app."""

    name = "apps.work_orders"
    label = "work_orders"
    verbose_name = "Work orders"
