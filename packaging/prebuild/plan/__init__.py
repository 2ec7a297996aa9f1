"""Stage 2: which modules, instances and kernels the recipes need, and why the rest is left out."""
