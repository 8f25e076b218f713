"""Serve the example: ``python -m example_app --port 5000``."""

from __future__ import annotations

import argparse
import os
import sys

from werkzeug.serving import make_server

from . import create_app
from .seed import EXAMPLE_ID

GLANCE_KEYS = ("GLANCE_DATABASE_URL", "GLANCE_URL")


def main() -> None:
    """Serve the example on this machine until it is interrupted."""
    parser = argparse.ArgumentParser(prog="example_app", description=__doc__)
    parser.add_argument("--port", type=int, default=5000, help="0 takes any free port")
    port = parser.parse_args().port
    config = {key: os.environ[key] for key in GLANCE_KEYS if os.environ.get(key)}
    app = create_app(config)
    try:
        server = make_server("127.0.0.1", port, app, threaded=True)
    except SystemExit:  # Werkzeug's own answer to a port in use, already printed
        sys.exit(f"Take another port: make demo PORT={port + 1}")
    base = f"http://127.0.0.1:{server.port}"
    print(f"Serving on {base}/ (Ctrl-C ends it). Try, in another terminal:\n")
    image_id = "IMAGE_ID" if config else EXAMPLE_ID
    print(f"  curl -I {base}/v1/images/{image_id}\n", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
