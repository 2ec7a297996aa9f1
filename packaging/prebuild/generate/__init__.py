"""Stage 3: the sources of a plan, as a value."""
