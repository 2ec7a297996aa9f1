"""Proof on a device: every kernel of the installed modules, run by the real HIP runtime, judged."""
