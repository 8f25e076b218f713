"""The host application's models: an image, and its properties in a table of their own."""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from image import FIELDS, IMAGE_ID, MANY_ID, MANY_PROPERTIES, PROPERTIES
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_imagemeta import ImageMixin


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class ImageProperty(db.Model):
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)


class Image(ImageMixin, db.Model):
    properties: Mapped[list[ImageProperty]] = relationship(lazy="selectin")


def make_app(url: str) -> Flask:
    """Return an application with the database at url, and no view yet."""
    app = Flask("benchmark")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    return app


def create_tables(url: str) -> None:
    """Create the tables in the database at url."""
    with make_app(url).app_context():
        db.create_all()


def create_database(url: str) -> None:
    """Create the tables in the database at url, and the two images in them."""
    create_tables(url)
    with make_app(url).app_context():
        for image_id, properties in ((IMAGE_ID, PROPERTIES), (MANY_ID, MANY_PROPERTIES)):
            rows = [ImageProperty(name=name, value=value) for name, value in properties.items()]
            db.session.add(Image(**FIELDS | {"id": image_id}, properties=rows))
        db.session.commit()
