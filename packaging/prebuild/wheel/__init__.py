"""Modules and manifest in, wheel out."""
