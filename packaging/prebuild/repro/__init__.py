"""The two reproductions of ROCm/aiter#3566, with this project's tools."""
