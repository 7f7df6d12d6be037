"""A database of the benchmark's own, seeded with demo data and dropped at the end."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from project import embedded
from project.embedded.places import ROOT

NAME: Final = "bench_servers"
ACTOR: Final = "supervisor@demo.example"

Environment = Mapping[str, str]


@contextmanager
def scratch(work_orders: int, name: str = NAME) -> Iterator[Environment]:
    """Yield the environment in which the application serves a fresh database with so many work orders."""
    url = os.environ.get("DATABASE_URL") or embedded.database_url()
    recreate(url, name)
    try:
        environment = environment_for(urlsplit(url)._replace(path=f"/{name}").geturl())
        manage(environment, "migrate", "--verbosity=0")
        manage(environment, "seed_demo", f"--work-orders={work_orders}", "--password=bench")
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        yield environment
    finally:
        recreate(url, name, and_then=None)


def recreate(url: str, name: str, and_then: str | None = "CREATE DATABASE {}") -> None:
    """Drop the scratch database if there is one, and create it anew unless told otherwise."""
    with psycopg.connect(url, autocommit=True) as connection:
        for command in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", and_then):
            if command:
                connection.execute(sql.SQL(command).format(sql.Identifier(name)))


def environment_for(database_url: str) -> Environment:
    """Return the environment of a production server on that database, with no limit that would refuse a load."""
    redis = os.environ.get("REDIS_URL") or embedded.redis_url()
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "SECRET_KEY": "bench",
        "ALLOWED_HOSTS": "127.0.0.1",
        "HTTPS": "0",
        "ENABLE_COST_LIMIT": "0",
    }


def issue_token(environment: Environment) -> str:
    """Return a new token of a supervisor."""
    return manage(environment, "issue_token", ACTOR).strip()


def manage(environment: Environment, *command: str) -> str:
    """Run a management command and return what it printed."""
    arguments = [sys.executable, "-W", "ignore", "manage.py", *command]
    done = subprocess.run(  # noqa: S603 - the command is our own
        arguments, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return done.stdout
