"""Signals sent for each request, by blinker; the sender is the Flask application.

Each receiver gets ``image_id`` (as asked for) and ``identity`` (None for anonymous).
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

image_shown = _signals.signal("image-shown", "Metadata was sent, or confirmed as unchanged.")
image_hidden = _signals.signal("image-hidden", "The identity may not see the image.")
image_missing = _signals.signal("image-missing", "The lookup found no image.")
store_unavailable = _signals.signal("store-unavailable", "The image store could not answer.")
