"""The families of CK2stages kernels: one table of facts each, and the one reader of them."""

from prebuild.families.reader import FamilyError, find_family, load_families

__all__ = ["FamilyError", "find_family", "load_families"]
