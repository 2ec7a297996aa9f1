"""Stand-in for AITER: the loader's contract and nothing else."""
