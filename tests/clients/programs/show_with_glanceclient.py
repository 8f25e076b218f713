"""Print, as JSON, what python-glanceclient reads of each image: BASE TOKEN ID [ID ...].

For Python 2 as well.
"""

import json
import sys

from glanceclient import Client
from glanceclient.exc import HTTPNotFound

base, token = sys.argv[1:3]
client = Client("1", endpoint=base, token=token)


def show(image_id):
    try:
        return client.images.get(image_id).to_dict()
    except HTTPNotFound:
        return None


print(json.dumps({image_id: show(image_id) for image_id in sys.argv[3:]}))
