"""What the environment decides, tried in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    # Nothing listens there: none of these commands may need a server.
    "DATABASE_URL": "postgresql://workgraph:secret@127.0.0.1:1/workgraph",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "kA3!" + "8sPq0ZtXv7LmYw2E" * 4,
    "ALLOWED_HOSTS": "workgraph.example",
}
READ = {"DJANGO_SETTINGS_MODULE": "project.settings"}
SHOW = "from django.conf import settings as s; print({expression})"


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("manage.py", *arguments, **environment)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(  # noqa: S603 (our own command)
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )


def value(expression: str, **environment: str) -> str:
    shown = run("-c", SHOW.format(expression=expression), **READ | PRODUCTION | environment)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.strip()


def test_four_values_make_a_safe_server() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"SECRET_KEY": None}, 'workgraph: Environment variable "SECRET_KEY" not set'),
        ({"ALLOWED_HOSTS": None}, 'workgraph: Environment variable "ALLOWED_HOSTS" not set'),
        ({"SECRET_KEY": ""}, "workgraph: Environment variable \"SECRET_KEY\" invalid: ['It is empty.']"),
        ({"ALLOWED_HOSTS": ""}, "workgraph: Environment variable \"ALLOWED_HOSTS\" invalid: ['It is empty.']"),
        (
            {"REDIS_URL": "redis+cluster://"},
            (
                "workgraph: REDIS_URL is no URL of Redis. It is like redis+cluster://host:6379,host:6379 or "
                "redis+sentinel://host:26379,host:26379/name/0."
            ),
        ),
        (
            {"DATABASE_POOL_SIZE": "many"},
            'workgraph: Environment variable "DATABASE_POOL_SIZE" invalid: Not a valid integer.',
        ),
        (
            {"DATABASE_POOL_SIZE": "0"},
            "workgraph: Environment variable \"DATABASE_POOL_SIZE\" invalid: ['Must be greater than or equal to 1.']",
        ),
        (
            {"TRUSTED_PROXIES": "10.1.1.1,10.0.0.1/8"},
            'workgraph: Environment variable "TRUSTED_PROXIES" invalid: [\'10.0.0.1/8 has host bits set; write an ',
        ),
        (
            {"CORS_ALLOWED_ORIGINS": "https://a.example,*"},
            "workgraph: Environment variable \"CORS_ALLOWED_ORIGINS\" invalid: ['* is no origin, like https://app.example.']",
        ),
        (
            {"CORS_ALLOWED_ORIGINS": "https://a.example/"},
            'workgraph: Environment variable "CORS_ALLOWED_ORIGINS" invalid: [\'https://a.example/ is no origin, like ',
        ),
        ({"LOGIN_RATE": "0"}, "workgraph: Environment variable \"LOGIN_RATE\" invalid: ['Must be greater than 0.']"),
        ({"DEBUG": "perhaps"}, 'workgraph: Environment variable "DEBUG" invalid: Not a valid boolean.'),
        ({"REDIS_PORT": "x"}, 'workgraph: Environment variable "REDIS_PORT" invalid: Not a valid integer.'),
        (
            {"DATABASE_URL": "nosuch://x"},
            'workgraph: Environment variable "DATABASE_URL" invalid',
        ),
    ],
)
def test_a_wrong_environment_is_told_in_one_line(changed: dict[str, str | None], line: str) -> None:
    environment = {name: text for name, text in (PRODUCTION | changed).items() if text is not None}
    told_in_one_line(manage("check", **environment), line)


@pytest.mark.parametrize("command", ["migrate", "issue_token", "help", "nosuch"])
def test_so_does_every_command(command: str) -> None:
    environment = {name: text for name, text in PRODUCTION.items() if name != "SECRET_KEY"}
    told_in_one_line(manage(command, **environment), 'workgraph: Environment variable "SECRET_KEY" not set')


def test_so_does_the_server() -> None:
    environment = {name: text for name, text in PRODUCTION.items() if name != "SECRET_KEY"}
    done = run("-m", "project.serve", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'workgraph: Environment variable "SECRET_KEY" not set\n'


def told_in_one_line(done: subprocess.CompletedProcess[str], line: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("s.DEBUG, s.INTROSPECTION, s.GRAPHIQL, s.GRAPHIQL_TOKEN", "False False False "),
        ("s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT", "True True True"),
        ("s.SESSION_COOKIE_HTTPONLY, s.CSRF_COOKIE_HTTPONLY, s.SESSION_COOKIE_SAMESITE", "True True Lax"),
        ("s.SECURE_HSTS_SECONDS, s.SECURE_CONTENT_TYPE_NOSNIFF, s.X_FRAME_OPTIONS", "31536000 True DENY"),
        ("s.SECURE_PROXY_SSL_HEADER", "None"),
        ("s.ALLOWED_HOSTS", "['workgraph.example']"),
        ("s.TRUSTED_PROXIES, s.CORS_ALLOWED_ORIGINS", "[] []"),
    ],
)
def test_it_is_safe_unless_told_otherwise(expression: str, expected: str) -> None:
    assert value(expression) == expected.strip()


def test_hosts_and_origins_are_lists() -> None:
    both = {"ALLOWED_HOSTS": "a.example,b.example", "CSRF_TRUSTED_ORIGINS": "https://a.example"}
    assert (
        value("s.ALLOWED_HOSTS, s.CSRF_TRUSTED_ORIGINS", **both) == "['a.example', 'b.example'] ['https://a.example']"
    )


def test_proxies_and_allowed_origins_are_lists_too() -> None:
    both = {"TRUSTED_PROXIES": "10.0.0.0/8,fd00::8", "CORS_ALLOWED_ORIGINS": "https://a.example:8443"}
    assert value("s.TRUSTED_PROXIES, s.CORS_ALLOWED_ORIGINS", **both) == (
        "['10.0.0.0/8', 'fd00::8'] ['https://a.example:8443']"
    )


def test_plain_http_and_a_trusted_proxy_are_chosen_by_name() -> None:
    chosen = "s.SECURE_SSL_REDIRECT, s.SESSION_COOKIE_SECURE, s.SECURE_HSTS_SECONDS, s.SECURE_PROXY_SSL_HEADER"
    told = value(chosen, HTTPS="0", TRUST_FORWARDED_PROTO="1")
    assert told == "False False 0 ('HTTP_X_FORWARDED_PROTO', 'https')"


def test_redis_may_be_given_in_parts() -> None:
    parts = {"REDIS_HOST": "cache", "REDIS_PASSWORD": "p@ss/word", "REDIS_DB": "3", "REDIS_SSL": "1", "REDIS_URL": ""}
    assert value("s.CACHES['default']['LOCATION']", **parts) == "rediss://:p%40ss%2Fword@cache:6379/3"


def test_logs_as_json_go_to_standard_output_an_object_a_line_and_the_trail_gets_no_file() -> None:
    said = "import logging; from django import setup; setup(); logging.getLogger('any').warning('Hear %s', 'this')"
    done = run("-c", said, **READ | PRODUCTION, LOG_FORMAT="json")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = map(json.loads, done.stdout.splitlines())
    told = {name: line[name] for name in ("levelname", "name", "message", "correlation_id")}
    assert told == {"levelname": "WARNING", "name": "any", "message": "Hear this", "correlation_id": "-"}
    assert value("repr(s.AUDIT_LOG), 'audit' in s.LOGGING['handlers']", LOG_FORMAT="json") == "'' False"


def test_the_log_file_of_the_trail_is_rotated_as_promised(tmp_path: Path) -> None:
    handler = "s.LOGGING['handlers']['audit']"
    shown = value(f"{handler}['filename'], {handler}['maxBytes'], {handler}['backupCount']", AUDIT_LOG=f"{tmp_path}/a")
    assert shown == f"{tmp_path}/a 10000000 90"
