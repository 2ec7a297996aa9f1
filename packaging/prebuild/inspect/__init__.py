"""Shared objects in, facts and findings out: what is in a module, and whether it may ship."""
