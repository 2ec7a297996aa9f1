"""Benchmarks of the runtime; ``make bench`` runs them."""
