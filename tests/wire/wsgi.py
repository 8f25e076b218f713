"""What the servers under test serve: the example at ``/``, the odd application at ``/odd``."""

import os

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from example_app import create_app
from tests.wire import odd_app

application = DispatcherMiddleware(
    create_app({"SQLALCHEMY_DATABASE_URI": os.environ["WIRE_DATABASE_URI"]}),
    {"/odd": odd_app.create_app()},
)
