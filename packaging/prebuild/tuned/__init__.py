"""AITER's tuned tables: which rows reach CK2stages, and whether recipes and plans hold them."""
