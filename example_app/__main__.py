"""Serve the example: ``python -m example_app --port 5000``."""

from __future__ import annotations

import argparse
import os
import sys

from sqlalchemy.exc import SQLAlchemyError
from werkzeug.serving import make_server

from . import create_app
from .glance import KEYS
from .seed import EXAMPLE_ID


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: choose 0 to 65535")
    return number


def main() -> None:
    """Serve the example on this machine until it is interrupted."""
    parser = argparse.ArgumentParser(prog="example_app", description=__doc__)
    parser.add_argument("--port", type=port, default=5000, help="0 takes any free port")
    arguments = parser.parse_args()
    config = {key: os.environ[key] for key in KEYS if os.environ.get(key)}
    try:
        app = create_app(config)
    except (OSError, ValueError, SQLAlchemyError) as error:
        source = " and ".join(config) or "the folder instance/"
        sys.exit(f"The demo cannot start with {source}: {error}")
    try:
        server = make_server("127.0.0.1", arguments.port, app, threaded=True)
    except SystemExit:  # Werkzeug has printed why: in use, or not permitted
        sys.exit("Choose another port: make demo PORT=8080")
    base = f"http://127.0.0.1:{server.port}"
    print(f"Serving on {base}/ (press Ctrl-C to stop). In another terminal, try:\n")
    image_id = "IMAGE_ID" if config else EXAMPLE_ID
    print(f"  curl -I {base}/v1/images/{image_id}\n", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
