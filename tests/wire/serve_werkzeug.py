"""Serve what the tests serve by Werkzeug's own server: ``python serve_werkzeug.py PORT``."""

import sys

from werkzeug.serving import make_server

from tests.wire.wsgi import application

make_server("127.0.0.1", int(sys.argv[1]), application, threaded=True).serve_forever()
