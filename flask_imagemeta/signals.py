"""The signals sent for each request, made with blinker; the sender is the Flask application.

Receivers get ``image_id`` (as requested, None for a list), ``identity`` (None for anonymous) and
``request_id``; receivers of ``images_listed`` get ``query`` and ``image_ids`` instead of the first.
"""

from __future__ import annotations

from blinker import NamedSignal, Namespace

_signals = Namespace()

image_shown: NamedSignal = _signals.signal(
    "image-shown", "Metadata was sent, or confirmed as unchanged."
)
image_hidden: NamedSignal = _signals.signal("image-hidden", "The identity may not see the image.")
image_missing: NamedSignal = _signals.signal("image-missing", "The lookup found no image.")
images_listed: NamedSignal = _signals.signal("images-listed", "A list of images was sent.")
store_unavailable: NamedSignal = _signals.signal(
    "store-unavailable", "The image store could not answer."
)
