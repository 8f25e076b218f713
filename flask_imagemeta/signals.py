"""Signals sent for each request, by blinker; the sender is the Flask application.

Each receiver gets ``image_id`` (as asked for) and ``identity`` (None for anonymous).
"""

from __future__ import annotations

from blinker import NamedSignal, Namespace

_signals = Namespace()

image_shown: NamedSignal = _signals.signal(
    "image-shown", "Metadata was sent, or confirmed as unchanged."
)
image_hidden: NamedSignal = _signals.signal("image-hidden", "The identity may not see the image.")
image_missing: NamedSignal = _signals.signal("image-missing", "The lookup found no image.")
store_unavailable: NamedSignal = _signals.signal(
    "store-unavailable", "The image store could not answer."
)
