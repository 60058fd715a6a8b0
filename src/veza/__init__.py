"""Veza: a self-hosted audio platform."""

__version__ = "0.1.0"
