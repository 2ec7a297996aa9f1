"""The stages put together: a build, the run of its kernels, a wheel."""
