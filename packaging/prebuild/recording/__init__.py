"""A recording HIP runtime: real modules run against it, launches are written down, not executed.

It stands in for a GPU, which build machines do not have; the interface is the eight functions that
our modules call, no more.
"""

from prebuild.recording.recorder import Call, LaunchRecord, Recorder, build_runtime

__all__ = ["Call", "LaunchRecord", "Recorder", "build_runtime"]
