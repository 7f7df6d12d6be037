#!/usr/bin/env python
"""Run Workgraph's administrative commands."""

import os
import sys

from django.core.management import execute_from_command_line
from environs import EnvError

from project.embedded import EmbeddedError


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        execute_from_command_line(sys.argv)
    except (EmbeddedError, EnvError) as error:
        sys.exit(f"workgraph: {error}")


if __name__ == "__main__":
    main()
