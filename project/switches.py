"""The features that an operator can turn off, and who is told that one is: the log, Prometheus, the probe."""

import logging
from typing import Final

from django.conf import settings
from prometheus_client import Gauge

logger = logging.getLogger(__name__)

SWITCHES: Final = {
    "audit_signals": ("ENABLE_AUDIT_SIGNALS", "changes are not recorded"),
    "bulk_operations": ("ENABLE_BULK_OPERATIONS", "bulk mutations are refused"),
    "search_rate_limiting": ("ENABLE_SEARCH_RATE_LIMITING", "searches are not limited"),
    "cost_limit": ("ENABLE_COST_LIMIT", "operations are not limited by what they cost"),
}
"""The setting of each feature, and how it is without the feature."""

ENABLED: Final = Gauge(
    "feature_enabled",
    "Whether a feature that can be turned off is on: 1, or 0.",
    ["feature"],
    multiprocess_mode="livemin",  # one line for each feature, not for each worker
)


def positions() -> dict[str, str]:
    """Return `on` or `off` for each feature."""
    return {name: "on" if getattr(settings, setting) else "off" for name, (setting, _) in SWITCHES.items()}


def announce() -> None:
    """Tell Prometheus of each feature, and the log, in one line, of those that are off."""
    found = positions()
    for name, position in found.items():
        ENABLED.labels(name).set(position == "on")
    off = [f"{setting} ({without})" for name, (setting, without) in SWITCHES.items() if found[name] == "off"]
    if off:
        logger.warning("Turned off: %s", ", ".join(off))
