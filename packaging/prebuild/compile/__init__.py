"""Sources on disk in, objects out: content-addressed, by ninja, longest first, within memory."""
