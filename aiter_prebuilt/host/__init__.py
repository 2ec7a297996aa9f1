"""What this host is (GPU, HIP runtime, AITER), and whether a module fits it."""
