"""Photos to faces: ``open_engine`` makes the engine, ``find_faces_in_photo`` uses it."""

from memoria.faces.engine import Engine, find_faces_in_photo, open_engine
from memoria.faces.types import Face, FaceEngine

__all__ = ["Engine", "Face", "FaceEngine", "find_faces_in_photo", "open_engine"]
