"""Benchmarks of the runtime; ``make bench TORCH=1`` runs ``call``, the others are run by hand."""
