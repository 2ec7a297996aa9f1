"""The ``aiter-prebuilt`` command."""
