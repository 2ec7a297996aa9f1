"""What AITER promises a module and a module AITER, one value a generation of AITER's."""

from prebuild.core.contracts.reader import (
    ARGUMENTS,
    ContractError,
    Function,
    Generation,
    Parameter,
    find_contract,
    load_contracts,
    parse_contract,
)

__all__ = [
    "ARGUMENTS",
    "ContractError",
    "Function",
    "Generation",
    "Parameter",
    "find_contract",
    "load_contracts",
    "parse_contract",
]
