"""Print, as JSON, what tempest's client finds by each name: BASE TOKEN NAME [NAME ...]."""

import json
import sys

from tempest_client import make_client

base, token, *names = sys.argv[1:]
client = make_client(base, token)


def find(name):
    return [image["id"] for image in client.list_images(detail=True, name=name)["images"]]


print(json.dumps({name: find(name) for name in names}))
