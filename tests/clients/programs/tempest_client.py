"""Tempest's client of the Image API v1, with a token and no Keystone."""

from tempest.lib.auth import AuthProvider
from tempest.lib.services.image.v1.images_client import ImagesClient


class Token(AuthProvider):
    """Sends a token to a server, both given, instead of asking Keystone for them."""

    def __init__(self, base, token):
        self.base, self.token = base, token

    def auth_request(self, method, url, headers=None, body=None, filters=None):
        return f"{self.base}/v1/{url}", {**(headers or {}), "X-Auth-Token": self.token}, body

    def base_url(self, filters, auth_data=None):
        return self.base

    def is_expired(self, auth_data):
        return False

    def _decorate_request(self, *args, **kwargs):
        raise NotImplementedError

    def _fill_credentials(self, *args):
        raise NotImplementedError

    def _get_auth(self):
        raise NotImplementedError


def make_client(base, token):
    return ImagesClient(Token(base, token), "image", "region")
