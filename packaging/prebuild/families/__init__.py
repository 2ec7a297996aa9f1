"""The families of CK2stages kernels: one table of facts each, and the one reader of them."""

from prebuild.families.reader import FamilyError, Table, find_family, find_table, load_families

__all__ = ["FamilyError", "Table", "find_family", "find_table", "load_families"]
