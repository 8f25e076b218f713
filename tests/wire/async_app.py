"""An application whose lookup is a coroutine that waits for a moment."""

import asyncio

from flask import Flask

from flask_imagemeta import ImageMeta

application = Flask(__name__)


async def find(image_id: str) -> dict[str, str]:
    await asyncio.sleep(0.2)
    return {"id": image_id}


ImageMeta(application, lookup=find)
