"""Where modules are looked for and built."""
