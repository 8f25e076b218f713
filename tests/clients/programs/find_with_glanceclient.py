"""Print, as JSON, what python-glanceclient finds by each name: BASE TOKEN [NAME ...].

For Python 2 as well. Without names, the ids of all images in the list.
"""

import json
import sys

from glanceclient import Client
from glanceclient.common import utils

base, token = sys.argv[1:3]
names = [name.decode("utf-8") if str is bytes else name for name in sys.argv[3:]]
client = Client("1", endpoint=base, token=token)


def find(name):
    try:
        return [utils.find_resource(client.images, name).id]
    except Exception as error:
        return str(error) if type(error).__name__ == "CommandError" else type(error).__name__


if names:
    print(json.dumps({name: find(name) for name in names}))
else:
    print(json.dumps([image.id for image in client.images.list()]))
