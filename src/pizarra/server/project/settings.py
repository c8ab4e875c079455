"""Django's settings, from ours. Names in capitals are Django's."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF

from pizarra.server.project.database import database
from pizarra.server.project.secret import secret_key
from pizarra.settings import read_settings

PIZARRA = read_settings()
HERE = Path(__file__).parents[1]

SECRET_KEY = secret_key(PIZARRA.pages_folder)
DEBUG = False
ALLOWED_HOSTS = [*PIZARRA.server_names, "127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"https://{name}" for name in PIZARRA.server_names if name != "*"]
ROOT_URLCONF = "pizarra.server.project.urls"
ASGI_APPLICATION = "pizarra.server.project.asgi.application"
AUTH_USER_MODEL = "people.User"
DATABASES = {"default": database(PIZARRA.database.get_secret_value(), PIZARRA.pages_folder)}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "channels",
    "ninja",
    "pizarra.server.people",
    "pizarra.server.rooms",
    "pizarra.server.jobs",
    "pizarra.server.pages",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "pizarra.server.people.language.user_language",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pizarra.server.permissions.EveryViewHasARule",
    "pizarra.server.unkept.RefusesWhatCannotBeKept",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# who signs in
PASSWORD_HASHERS = ["pizarra.server.people.passwords.FewAtOnce"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator",
                 "CommonPasswordValidator")
]  # fmt: skip
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
# counts of guesses (people/guesses.py): of this process, and not more than so many
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
}

# what browsers are told
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],  # noVNC draws its cursor so
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}
SECURE = PIZARRA.server_https or PIZARRA.server_self_signed
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME = "__Host-pizarra" if SECURE else "pizarra"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
# a certificate that nobody vouches for must not close a name to what else is there
SECURE_HSTS_SECONDS = 31536000 if PIZARRA.server_https else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = None  # uvicorn reads it, from a proxy that the settings name
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 3000

# languages and times
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "español")]
LOCALE_PATHS = [HERE / "locale"]
USE_I18N = USE_TZ = True
TIME_ZONE = PIZARRA.server_time_zone

# files that browsers fetch: as they are in the package, no build step
STATIC_URL = "/static/"
STATICFILES_DIRS = [HERE / "static"]
STATIC_ROOT = PIZARRA.pages_folder / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 3600

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"bounded": {"()": "pizarra.server.project.logs.Bounded"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "filters": ["bounded"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django.request": {"level": "ERROR"}},
}
