"""Memoria finds the people in the photos of an event."""

__version__ = "0.2.2"
