"""Print, as JSON, the headers that tempest's client reads of each image: BASE TOKEN ID [ID ...]."""

import json
import sys

from tempest.lib.exceptions import NotFound
from tempest_client import make_client

base, token, *image_ids = sys.argv[1:]
client = make_client(base, token)


def show(image_id):
    try:
        return dict(client.check_image(image_id).response)
    except NotFound:
        return None


print(json.dumps({image_id: show(image_id) for image_id in image_ids}))
