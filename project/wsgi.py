"""The WSGI application that the server runs."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from project.seats import seated
from project.stack import roomy
from project.switches import announce
from schema.documents.trusted import registered

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django = get_wsgi_application()
served = import_module("project.lane").lane(django)  # models can be imported only now
if settings.OTEL_EXPORTER_OTLP_ENDPOINT or settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:
    try:
        traces = import_module("project.traces").by_otlp()  # else its libraries need not even be there
    except ModuleNotFoundError as error:
        message = "OTEL_EXPORTER_OTLP_ENDPOINT is set: install requirements/traces.txt too, or unset it."
        raise ImproperlyConfigured(message) from error
    traces.start()
    served = traces.around(served)
application = roomy(seated(served))
registered(tuple(settings.TRUSTED_DOCUMENTS_PATH))  # what can't be read is to stop the server, not a request
announce()
import_module(settings.ROOT_URLCONF)  # Django would import it, and the schema with it, for the first request
gc.collect()
gc.freeze()  # what is loaded by now stays: to look through it again and again for garbage costs tens of milliseconds
gc.set_threshold(50_000, 10, 10)  # a long page makes as many objects, which need no looking through while it is made
