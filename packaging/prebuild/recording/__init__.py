"""A recording HIP runtime: real modules run against it, launches are written down, not executed.

It stands in for a GPU, which build machines do not have; the interface is the eight functions that
our modules call (``runtime.c``) and those that ``aiter-prebuilt selftest`` calls (``device.c``),
whose kernels do what a script says.
"""

from prebuild.recording.recorder import Call, LaunchRecord, Recorder, build_runtime

__all__ = ["Call", "LaunchRecord", "Recorder", "build_runtime"]
