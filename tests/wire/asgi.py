"""What the servers under test serve, for a server of ASGI: by a2wsgi."""

from a2wsgi import WSGIMiddleware

from tests.wire.wsgi import application as wsgi_application

application = WSGIMiddleware(wsgi_application)
