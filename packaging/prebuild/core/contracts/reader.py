"""Read ``contracts/*.toml``: docstrings, C++ tables and the manifest are made from these values."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aiter_prebuilt.wheel.manifest import Contract
from prebuild.core.errors import ProblemsError

ARGUMENTS = (
    "activations",
    "w1",
    "w2",
    "sorted_token_ids",
    "sorted_expert_ids",
    "num_valid_ids",
    "out",
    "top_k",
    "kernel_name",
    "weight_scale",
    "activation_scale",
    "block_m",
    "sorted_weights",
    "quant_type",
    "activation",
    "split_k",
    "is_shuffled",
)
"""What the binding reads: the enumerators of ``Argument`` in ``csrc/contract.hpp``."""
IGNORED = "ignored"


class ContractError(ProblemsError):
    """A contract does not hold what the binding needs."""

    exit_code = 3


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Strict):
    """One parameter of a function, in AITER's words."""

    name: str
    hint: str
    argument: str
    """One of :data:`ARGUMENTS`, or ``ignored``."""
    default: str | None = None
    """A Python literal; None where the parameter is required."""
    alias: str | None = None

    @property
    def enumerator(self) -> str:
        """The C++ name of what the binding does with it."""
        return "k" + "".join(part.capitalize() for part in self.argument.split("_"))

    @property
    def value(self) -> object:
        """The default itself."""
        return ast.literal_eval(self.default or "None")

    @property
    def fallback(self) -> int:
        """The number that None, or nothing, stands for."""
        return int(self.value) if isinstance(self.value, int) else 0

    @property
    def text(self) -> str:
        """The parameter as it stands in a Python signature."""
        default = "" if self.default is None else f" = {self.default}"
        return f"{self.name}: {self.hint}{default}"


class Function(_Strict):
    """One function that AITER calls."""

    name: str
    stage: Literal[1, 2]
    parameters: tuple[Parameter, ...]

    @property
    def signature(self) -> str:
        """The docstring's first line, which AITER parses."""
        inner = ", ".join(parameter.text for parameter in self.parameters)
        return f"{self.name}({inner}) -> None"

    @model_validator(mode="after")
    def _is_sound(self) -> Function:
        problems = [*_argument_problems(self.parameters), *_name_problems(self.parameters)]
        if problems:
            raise ValueError(f"{self.name}: {'; '.join(problems)}")
        return self


class Generation(_Strict):
    """All that one generation of AITER's agrees on with a module."""

    name: str
    """The first release that has it; the stem of its file."""
    ending: str
    """What ends the name of a module that is not split-K."""
    quant_types: Mapping[str, int]
    activation_types: Mapping[str, int]
    functions: tuple[Function, ...]

    @property
    def contract(self) -> Contract:
        """What the manifest says of it."""
        return Contract(
            signatures={function.name: function.signature for function in self.functions},
            aliases={
                parameter.alias: parameter.name
                for function in self.functions
                for parameter in function.parameters
                if parameter.alias is not None
            },
            quant_types=self.quant_types,
            activation_types=self.activation_types,
            ending=self.ending,
        )

    def same_binding(self, other: Generation) -> bool:
        """Whether code that is generated from one of the two meets the other as well."""
        return (
            self.functions == other.functions
            and self.quant_types == other.quant_types
            and self.activation_types == other.activation_types
        )

    def function(self, stage: int) -> Function:
        """The function of a stage."""
        return self.functions[stage - 1]

    @property
    def quants(self) -> Mapping[str, int]:
        """QuantType by the names that stand in module names."""
        return {name.lower(): value for name, value in self.quant_types.items()}

    @property
    def activations(self) -> Mapping[str, int]:
        """ActivationType by the names that stand in module names."""
        return {name.lower(): value for name, value in self.activation_types.items()}

    @model_validator(mode="after")
    def _has_both_stages(self) -> Generation:
        if [function.stage for function in self.functions] != [1, 2]:
            raise ValueError("functions: expected one of stage 1, then one of stage 2")
        return self


@cache
def load_contracts() -> tuple[Generation, ...]:
    """Return every generation, in the order of their files' names.

    Raises :class:`ContractError` with all problems of all files.
    """
    found: list[Generation] = []
    problems: list[str] = []
    texts = {
        file.name.removesuffix(".toml"): file.read_text()
        for file in sorted(files(__package__).iterdir(), key=lambda entry: entry.name)
        if file.name.endswith(".toml")
    }
    for name, text in texts.items():
        try:
            found.append(parse_contract(name, text, texts))
        except (ValidationError, tomllib.TOMLDecodeError, LookupError) as error:
            problems.append(f"{name}.toml: {error}")
    if problems:
        raise ContractError("the contracts with AITER are wrong:", problems)
    return tuple(found)


def find_contract(name: str) -> Generation:
    """Return the generation of a name; raises :class:`ContractError` where there is none."""
    for generation in load_contracts():
        if generation.name == name:
            return generation
    known = ", ".join(generation.name for generation in load_contracts())
    raise ContractError(f"there is no contract {name}, expected one of these:", [known])


def parse_contract(name: str, text: str, others: Mapping[str, str] | None = None) -> Generation:
    """Read one file; with ``like`` it holds what differs from another one, of ``others`` by name.

    Raises pydantic's or tomllib's own error, which names the key, or LookupError for ``like``.
    """
    raw = tomllib.loads(text)
    like = raw.pop("like", None)
    if like is not None:
        if like not in (others or {}):
            raise LookupError(f"like: there is no contract {like}")
        raw = {**tomllib.loads((others or {})[like]), **raw}
    return Generation.model_validate({**raw, "name": name})


def _argument_problems(parameters: tuple[Parameter, ...]) -> Iterator[str]:
    found = [parameter.argument for parameter in parameters if parameter.argument != IGNORED]
    for argument in ARGUMENTS:
        if found.count(argument) != 1:
            yield f"argument {argument} stands there {found.count(argument)} times, expected once"
    for argument in sorted(set(found) - set(ARGUMENTS)):
        yield f"argument {argument} is none that the binding knows"


def _name_problems(parameters: tuple[Parameter, ...]) -> Iterator[str]:
    names = [name for p in parameters for name in (p.name, p.alias) if name is not None]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"name {name} stands there twice"
    given = [parameter.default is not None for parameter in parameters]
    if given != sorted(given):
        yield "a parameter without a default follows one with a default"
    for parameter in parameters:
        try:
            ast.literal_eval(parameter.default or "None")
        except ValueError:
            yield f"default {parameter.default} of {parameter.name} is no Python literal"
