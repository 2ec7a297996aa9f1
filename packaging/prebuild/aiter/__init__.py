"""AITER itself: a checkout, an installed package, or every release of its repository."""
