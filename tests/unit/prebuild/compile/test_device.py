from __future__ import annotations

from pathlib import Path

import pytest

from prebuild.compile.device import front_end, readable, split
from prebuild.compile.ir import Dropped
from prebuild.compile.llvm import Llvm, LlvmError, ignored_features

COMMAND = [
    *("/t/clang++", "--config=/t/clang.cfg", "-O1", "-O3", "--offload-arch=gfx950"),
    *("-mllvm", "--slp-threshold=-32", "-fno-offload-uniform-block", "-mllvm", "-x=1"),
    *("-c", "/s/k.cu", "-o", "/o/k.co"),
]


class Knowing(Llvm):
    """An LLVM that knows these attributes; no library is loaded."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def knows_attribute(self, name: str) -> bool:
        return name in self.names


def test_options_are_the_code_generators_and_the_rest_is_clangs() -> None:
    parts = split(COMMAND)
    assert parts.options == ("--slp-threshold=-32", "-x=1")
    assert (parts.output, parts.cpu, parts.level) == (Path("/o/k.co"), "gfx950", 3)
    made = front_end(parts, Path("/o/ir.ll"))
    assert made[:2] == ["/t/clang++", "--config=/t/clang.cfg"]
    assert made[-4:] == ["-Xclang", "-disable-llvm-passes", "-o", "/o/ir.ll"]
    assert "-fno-offload-uniform-block" in made
    assert not {"-mllvm", "-x=1", "-c", "/o/k.co"} & set(made)


@pytest.mark.parametrize("lacking", ["-o", "--offload-arch=gfx950"])
def test_a_command_that_is_no_device_compile_is_refused(lacking: str) -> None:
    with pytest.raises(LlvmError, match="offload-arch"):
        split([word for word in COMMAND if word != lacking])


def test_two_gpus_are_refused() -> None:
    with pytest.raises(LlvmError, match="each once"):
        split([*COMMAND, "--offload-arch=gfx942"])


def test_every_unknown_attribute_is_named() -> None:
    text = "attributes #0 = { nofree newer newest }\nattributes #1 = { older }\n"
    dropped = Dropped(attributes=frozenset({"older"}))
    with pytest.raises(LlvmError, match=r"unknown attributes: newer, newest$"):
        readable(text, Knowing("nofree"), dropped)
    assert readable(text, Knowing("nofree", "newer", "newest"), dropped) == (
        "attributes #0 = { nofree newer newest }\nattributes #1 = {  }\n"
    )


def test_ignored_features_are_found_in_what_llvm_says() -> None:
    said = (
        "'+sad-insts' is not a recognized feature for this target (ignoring feature)\n"
        "warning: something else\n"
        "'-cube-insts' is not a recognized feature for this target (ignoring feature)\n"
        "'+sad-insts' is not a recognized feature for this target (ignoring feature)\n"
    )
    assert ignored_features(said) == ["cube-insts", "sad-insts"]
    assert ignored_features("warning: something else\n") == []
