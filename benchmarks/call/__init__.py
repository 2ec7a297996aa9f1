"""One call of a module beside a bare function of pybind11 and torch."""
