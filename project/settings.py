"""Settings; every value that comes from the environment is read at the top, with its default.

Without DATABASE_URL and REDIS_URL (or REDIS_HOST) an embedded PostgreSQL and an embedded Valkey are started, and what
must be secret is made at random and kept under `.local/`. With them nothing is started and nothing is assumed.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import dj_database_url
from environs import Env, EnvError, ValidationError, validate
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import embedded
from .addresses import check_network
from .caches import TIMEOUT, UrlError, cache_of

BASE_DIR: Final = Path(__file__).resolve().parent.parent
env = Env()
CORES: Final = os.cpu_count() or 1
given: Final = validate.Length(min=1, error="It is empty.")
positive: Final = validate.Range(min=0, min_inclusive=False)
origin: Final = validate.Regexp(r"https?://[^/?#@*\s]+\Z", error="{input} is no origin, like https://app.example.")


def each(check: Callable[[str], object]) -> Callable[[list[str]], None]:
    """Return a check of a list by a check of its members."""

    def check_all(members: list[str]) -> None:
        for member in members:
            check(member)

    return check_all


def filled_in(text: str) -> None:
    """Raise environs' ValidationError for what `ops/environment` leaves to be filled in."""
    if "CHANGE-ME" in text:
        raise ValidationError("It is still the example's: put in your own.")


DEBUG = env.bool("DEBUG", False)
DATABASE_URL: Final = env.str("DATABASE_URL", "", validate=filled_in)
REDIS_URL: Final = env.str("REDIS_URL", "", validate=filled_in)
REDIS_HOST: Final = env.str("REDIS_HOST", "")
REDIS_PORT: Final = env.int("REDIS_PORT", 6379)
REDIS_PASSWORD: Final = env.str("REDIS_PASSWORD", "", validate=filled_in)
REDIS_DB: Final = env.int("REDIS_DB", 0)
REDIS_SSL: Final = env.bool("REDIS_SSL", False)
DATABASE_POOL_SIZE: Final = env.int("DATABASE_POOL_SIZE", 8, validate=validate.Range(min=1))
AT_ONCE: Final = env.int("AT_ONCE", min(DATABASE_POOL_SIZE, 2 * CORES + 1), validate=validate.Range(min=1))
REPLICA_URL: Final = env.str("REPLICA_URL", "")
REPLICA_MAX_LAG_SECONDS: Final = env.float("REPLICA_MAX_LAG_SECONDS", 5, validate=positive)
EMBEDDED: Final = not DATABASE_URL
"""Whether this is somebody's own machine: demo data, a token in GraphiQL, plain HTTP on the loopback address."""

if EMBEDDED:
    SECRET_KEY = env.str("SECRET_KEY", "") or embedded.secret("secret-key")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
else:
    SECRET_KEY = env.str("SECRET_KEY", validate=[given, filled_in])
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", validate=given)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", [], validate=each(origin))
HTTPS: Final = env.bool("HTTPS", not EMBEDDED)
HSTS_SECONDS: Final = env.int("HSTS_SECONDS", 31_536_000)
TRUST_FORWARDED_PROTO: Final = env.bool("TRUST_FORWARDED_PROTO", False)
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [], validate=each(check_network))
STRANGER_LIMIT: Final = env.int("STRANGER_LIMIT", 100, validate=validate.Range(min=1))
STRANGER_RATE: Final = env.float("STRANGER_RATE", 10, validate=positive)
LOGIN_LIMIT: Final = env.int("LOGIN_LIMIT", 10, validate=validate.Range(min=1))
LOGIN_RATE: Final = env.float("LOGIN_RATE", 1, validate=positive)
LOG_LEVEL: Final = env.log_level("LOG_LEVEL", logging.INFO)
LOG_FORMAT: Final = env.str("LOG_FORMAT", "line", validate=validate.OneOf(["line", "json"]))
AUDIT_LOG: Final = env.str("AUDIT_LOG", "" if LOG_FORMAT == "json" else str(BASE_DIR / "logs" / "audit.log"))
SEARCH_CACHE_SECONDS: Final = env.int("SEARCH_CACHE_SECONDS", 300, validate=validate.Range(min=1))
ENABLE_SEARCH_RATE_LIMITING: Final = env.bool("ENABLE_SEARCH_RATE_LIMITING", True)
SEARCH_RATE_LIMIT: Final = env.int("SEARCH_RATE_LIMIT", 20, validate=validate.Range(min=1))
SEARCH_RATE_SECONDS: Final = env.float("SEARCH_RATE_SECONDS", 10, validate=validate.Range(min=0.001))
COMPILED_READS: Final = env.bool("COMPILED_READS", True)
COMPILE_AFTER: Final = env.int("COMPILE_AFTER", 1, validate=validate.Range(min=0))
ENABLE_COST_LIMIT: Final = env.bool("ENABLE_COST_LIMIT", True)
COST_LIMIT: Final = env.int("COST_LIMIT", 5_000, validate=validate.Range(min=1))
COST_BUCKET: Final = env.int("COST_BUCKET", 10_000, validate=validate.Range(min=1))
COST_RESTORE_RATE: Final = env.int("COST_RESTORE_RATE", 500, validate=validate.Range(min=1))
TIME_BUCKET: Final = env.int("TIME_BUCKET", 60, validate=validate.Range(min=1))
TIME_RESTORE_RATE: Final = env.int("TIME_RESTORE_RATE", 1, validate=validate.Range(min=1))
LIMITS_FAIL_CLOSED: Final = env.bool("LIMITS_FAIL_CLOSED", False)
MAX_DOCUMENT_BYTES: Final = env.int("MAX_DOCUMENT_BYTES", 16_384, validate=validate.Range(min=1))
MAX_TOKENS: Final = env.int("MAX_TOKENS", 2_000, validate=validate.Range(min=1))
MAX_DEPTH: Final = env.int("MAX_DEPTH", 12, validate=validate.Range(min=1))
MAX_ALIASES: Final = env.int("MAX_ALIASES", 30, validate=validate.Range(min=0))
MAX_ROOT_FIELDS: Final = env.int("MAX_ROOT_FIELDS", 50, validate=validate.Range(min=1))
MAX_BATCH: Final = env.int("MAX_BATCH", 10, validate=validate.Range(min=1))
PERSISTED_QUERY_SECONDS: Final = env.int("PERSISTED_QUERY_SECONDS", 604_800, validate=validate.Range(min=1))
TRUSTED_DOCUMENTS: Final = env.str("TRUSTED_DOCUMENTS", "", validate=validate.OneOf(["", "only"]))
TRUSTED_DOCUMENTS_PATH: list[str] = env.list("TRUSTED_DOCUMENTS_PATH", [])
ENABLE_AUDIT_SIGNALS: Final = env.bool("ENABLE_AUDIT_SIGNALS", True)
ENABLE_BULK_OPERATIONS: Final = env.bool("ENABLE_BULK_OPERATIONS", True)
OTEL_EXPORTER_OTLP_ENDPOINT: Final = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Final = env.str("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
SLOW_OPERATION_SECONDS: Final = env.float("SLOW_OPERATION_SECONDS", 1, validate=validate.Range(min=0))
REQUEST_SECONDS: Final = env.float("REQUEST_SECONDS", 10, validate=validate.Range(min=0))
DRAIN_SECONDS: Final = env.float("DRAIN_SECONDS", 0 if EMBEDDED else 5, validate=validate.Range(min=0))
STATIC_ROOT_FOLDER: Final = env.str("STATIC_ROOT", "")
AUDIT_RETENTION_DAYS: Final = env.int("AUDIT_RETENTION_DAYS", 90, validate=validate.Range(min=1))
INTROSPECTION: Final = env.bool("INTROSPECTION", EMBEDDED or DEBUG)
GRAPHIQL: Final = env.bool("GRAPHIQL", EMBEDDED or DEBUG)
GRAPHIQL_TOKEN: Final = env.str("GRAPHIQL_TOKEN", "") if EMBEDDED else ""
METRICS_TOKEN: Final = env.str("METRICS_TOKEN", "", validate=filled_in) or (
    embedded.secret("metrics-token") if EMBEDDED else ""
)


def redis_url() -> str:
    """Return the URL of the Redis-protocol server that the environment names, or of the embedded one."""
    if REDIS_URL or not REDIS_HOST:
        return REDIS_URL or embedded.redis_url()
    password = f":{quote(REDIS_PASSWORD, safe='')}@" if REDIS_PASSWORD else ""
    return f"redis{'s' * REDIS_SSL}://{password}{REDIS_HOST}:{REDIS_PORT}/{REDIS_DB}"


INSTALLED_APPS = [
    "apps.accounts.adminsite.config.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "concurrency",
    "corsheaders",
    "strawberry_django",
    "apps.accounts",
    "apps.lifecycle",
    "apps.search",
    "apps.assets",
    "apps.work_orders",
    "apps.tasks",
    "apps.helpdesk",
    "apps.attendance",
    "apps.audit",
    "schema",
    "project",
]
MIDDLEWARE = [
    "apps.accounts.middleware.correlation",
    "project.health.health",
    "project.metrics.metrics",
    "project.deadline.RequestDeadline",
    "corsheaders.middleware.CorsMiddleware",
    "project.compression.compression",
    "project.rest.middleware.rest",
    "django.middleware.security.SecurityMiddleware",
    "project.security.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "project.strangers.Strangers",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.middleware.bearer_token",
    "apps.accounts.middleware.tenancy",
    *(["project.replica.writes_noted"] if REPLICA_URL else []),
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "concurrency.middleware.ConcurrencyMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(embedded.database_url()) if EMBEDDED else env.dj_db_url("DATABASE_URL"),
}
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10},
}
if REPLICA_URL:
    DATABASES["replica"] = dj_database_url.parse(REPLICA_URL, conn_max_age=60)
    # A host that is gone is to be noticed in time. No pool: it would try to reach it again and again, and complain.
    DATABASES["replica"]["OPTIONS"] = {
        "connect_timeout": 2,
        "tcp_user_timeout": 2000,
        **DATABASES["replica"].get("OPTIONS", {}),
    }
    DATABASES["replica"]["TEST"] = {"MIRROR": "default"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
try:
    REDIS: Final = cache_of(redis_url())
except UrlError as error:
    message = f"REDIS_URL is no URL of Redis. {error}"
    raise EnvError(message) from error
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS["LOCATION"],
        "KEY_PREFIX": "workgraph",
        "OPTIONS": {
            **REDIS["OPTIONS"],
            "SOCKET_CONNECT_TIMEOUT": TIMEOUT,
            "SOCKET_TIMEOUT": TIMEOUT,
            # The client's own way, three tries with seconds between them, would make each request wait for Redis.
            "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)},
        },
    },
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["apps.accounts.authentication.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
ADMIN_PATH = "admin/"
REST_PATH = "api/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "graphql"
LOGOUT_REDIRECT_URL = "login"
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
# A new API token's text travels in a message, once: it must never get into the sessions, which are stored.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_FORWARDED_PROTO else None
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "schema.http.view.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CORS_URLS_REGEX = r"^/graphql$"
CORS_ALLOW_METHODS = ("GET", "POST")
CORS_ALLOW_HEADERS = ("accept", "authorization", "content-type", "x-correlation-id")
CORS_EXPOSE_HEADERS = ("X-Correlation-ID", "Retry-After", "RateLimit", "RateLimit-Policy")
CORS_PREFLIGHT_MAX_AGE = 24 * 60 * 60
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

STATIC_URL = "/static/"
STATIC_ROOT = Path(STATIC_ROOT_FOLDER) if STATIC_ROOT_FOLDER else BASE_DIR / "staticfiles"
STATICFILES_DIRS = [("graphiql", BASE_DIR / "ide" / "dist")] if (BASE_DIR / "ide" / "dist").is_dir() else []
WHITENOISE_USE_FINDERS = EMBEDDED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Under names that change with the files, which browsers keep for good; on one's own machine files just change.
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if EMBEDDED
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "project.formats"

if AUDIT_LOG:
    try:
        Path(AUDIT_LOG).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"AUDIT_LOG: {AUDIT_LOG} can't be written ({error.strerror}). Name another file, or an empty text."
        raise EnvError(message) from error
AUDIT_LOG_HANDLER = {
    "class": "concurrent_log_handler.ConcurrentRotatingFileHandler",  # several workers write and rotate the one file
    "filename": AUDIT_LOG,
    "maxBytes": 10_000_000,
    "backupCount": 90,
    "encoding": "utf-8",
    "formatter": "bare",
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "correlation": {"()": "apps.accounts.logs.CorrelationFilter"},
        "unlimited": {"()": "apps.accounts.logs.UnlimitedFilter"},
    },
    "formatters": {
        "line": {"format": "{asctime} {levelname} [{correlation_id}] {name}: {message}", "style": "{"},
        "json": {
            "()": "pythonjsonlogger.orjson.OrjsonFormatter",
            "format": "{asctime} {levelname} {correlation_id} {name} {message}",
            "style": "{",
        },
        "bare": {"format": "{message}", "style": "{"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout" if LOG_FORMAT == "json" else "ext://sys.stderr",
            "formatter": LOG_FORMAT,
            "filters": ["correlation"],
        },
        **({"audit": AUDIT_LOG_HANDLER} if AUDIT_LOG else {}),
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"filters": ["unlimited"]},
        "workgraph.audit": {"handlers": ["audit"] if AUDIT_LOG else [], "level": "INFO", "propagate": False},
    },
}

# A trigger made behind the migrations' back is one nobody reviews; the version is checked in the UPDATE itself.
CONCURRENCY_AUTO_CREATE_TRIGGERS = False
CONCURRENCY_CALLBACK = "apps.accounts.conflicts.refuse_stale"
CONCURRENCY_HANDLER409 = "apps.accounts.adminsite.conflict.conflict_page"
STRAWBERRY_DJANGO = {"FIELD_DESCRIPTION_FROM_HELP_TEXT": True, "TYPE_DESCRIPTION_FROM_MODEL_DOCSTRING": True}
