"""The WSGI application that the server runs."""

import os

from django.core.wsgi import get_wsgi_application

from project.stack import roomy

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = roomy(get_wsgi_application())
