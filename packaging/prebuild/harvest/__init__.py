"""Pack modules that an installed AITER has compiled, so that a cluster compiles once."""

from prebuild.harvest.read import Harvested, HarvestError, Source, harvest
from prebuild.harvest.wheel import write_wheel

__all__ = ["HarvestError", "Harvested", "Source", "harvest", "write_wheel"]
