"""AITER asks for a module: find it, load it, hand on what it does not cover."""
