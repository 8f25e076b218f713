"""Serve what the tests serve by gevent's own server: ``python serve_gevent.py PORT``."""

import sys

from gevent import monkey

monkey.patch_all()

from gevent.pywsgi import WSGIServer  # noqa: E402 - what follows has to be patched

from tests.wire.wsgi import application  # noqa: E402

WSGIServer(("127.0.0.1", int(sys.argv[1])), application).serve_forever()
