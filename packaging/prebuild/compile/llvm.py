"""The few functions of LLVM's C API that take a module from IR to an object, through ctypes.

For a process of its own: LLVM ends it at an option that it does not know and at a bug of its own,
and what it has to say goes to the process's stderr.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import byref, c_bool, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path

_OBJECT_FILE, _PIC, _DEFAULT_CODE_MODEL, _RETURN_STATUS = 1, 2, 0, 2
_VECTORISED_FROM = 2
"""clang vectorises at -O2 and above."""

# bool llvm::cl::ParseCommandLineOptions(int argc, const char* const* argv, StringRef overview,
# raw_ostream* errors, vfs::FileSystem*, const char* variable, bool long_options): what the C API
# wraps, with nowhere to write errors to, so that it takes an unknown option in silence.  Without a
# stream the function writes to stderr and exits.
_PARSE_OPTIONS = (
    "_ZN4llvm2cl23ParseCommandLineOptionsEiPKPKcNS_9StringRefEPNS_11raw_ostreamE"
    "PNS_3vfs10FileSystemES2_b"
)
_IGNORED = "is not a recognized feature"


class LlvmError(Exception):
    """LLVM refused something; the message is its own or says what it did not know."""


class Llvm:
    """One LLVM library with the AMDGPU target."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        # The parser is for assembly in the sources.
        for part in ("TargetInfo", "Target", "TargetMC", "AsmPrinter", "AsmParser"):
            self._number(f"InitializeAMDGPU{part}")
        self._context = self._pointer("GetGlobalContext")

    def options(self, options: Sequence[str]) -> None:
        """Parse ``-mllvm`` options; ends the process with LLVM's message at an unknown one."""
        words = [b"code generator (LLVM option parsing)", *(option.encode() for option in options)]
        vector = (c_char_p * len(words))(*words)
        parse = getattr(self._library, _PARSE_OPTIONS)
        parse.restype = c_bool
        overview = (c_char_p(b""), c_size_t(0))
        parse(c_int(len(words)), vector, *overview, None, None, None, c_bool(False))

    def knows_attribute(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        text = name.encode()
        return self._number("GetEnumAttributeKindForName", text, c_size_t(len(text))) != 0

    def read(self, text: str) -> c_void_p:
        """Return the module that ``text`` (IR) describes, which is right by this LLVM's rules."""
        data = text.encode()
        # The reader wants a zero behind the text, which a copy has; the buffer becomes its own.
        buffer = self._pointer(
            "CreateMemoryBufferWithMemoryRangeCopy", data, c_size_t(len(data)), b"ir"
        )
        module = c_void_p()
        self._checked("ParseIRInContext", self._context, buffer, byref(module))
        self._checked("VerifyModule", module, c_int(_RETURN_STATUS))
        self._refuse_unknown_intrinsics(module)
        return module

    def compile(self, module: c_void_p, *, cpu: str, level: int, output: Path) -> None:
        """Optimise ``module`` and write its object, both as clang does at ``-O<level>``."""
        machine = self._machine(module, cpu, level)
        self._optimise(module, machine, level)
        path = str(output).encode()
        self._checked("TargetMachineEmitToFile", machine, module, path, c_int(_OBJECT_FILE))

    def _machine(self, module: c_void_p, cpu: str, level: int) -> c_void_p:
        triple = self._pointer("GetTarget", module)
        target = c_void_p()
        self._checked("GetTargetFromTriple", triple, byref(target))
        numbers = (c_int(level), c_int(_PIC), c_int(_DEFAULT_CODE_MODEL))
        # No features here: clang's IR states them function by function.
        return self._pointer("CreateTargetMachine", target, triple, cpu.encode(), b"", *numbers)

    def _optimise(self, module: c_void_p, machine: c_void_p, level: int) -> None:
        options = self._pointer("CreatePassBuilderOptions")
        vectorised = c_int(level >= _VECTORISED_FROM)
        self._number("PassBuilderOptionsSetLoopVectorization", options, vectorised)
        self._number("PassBuilderOptionsSetSLPVectorization", options, vectorised)
        error = self._pointer("RunPasses", module, f"default<O{level}>".encode(), machine, options)
        if error:
            raise LlvmError(_text(self._pointer("GetErrorMessage", error)))

    def _refuse_unknown_intrinsics(self, module: c_void_p) -> None:
        """Raise :class:`LlvmError`: an intrinsic without a meaning becomes a call to nowhere."""
        unknown = [
            name
            for function, name in self._functions(module)
            if name.startswith("llvm.") and self._number("GetIntrinsicID", function) == 0
        ]
        if unknown:
            raise LlvmError(f"unknown intrinsics: {', '.join(sorted(unknown))}")

    def _functions(self, module: c_void_p) -> Iterator[tuple[c_void_p, str]]:
        function = self._pointer("GetFirstFunction", module)
        while function:
            yield function, _text(self._pointer("GetValueName2", function, byref(c_size_t())))
            function = self._pointer("GetNextFunction", function)

    def _checked(self, name: str, *arguments: object) -> None:
        """Call a function that returns whether it failed, and has its message written last."""
        message = c_void_p()
        if self._number(name, *arguments, byref(message)):
            raise LlvmError(_text(message) or f"LLVM{name} failed without a reason")

    def _number(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, f"LLVM{name}")
        function.restype = c_int
        return int(function(*arguments))

    def _pointer(self, name: str, *arguments: object) -> c_void_p:
        function = getattr(self._library, f"LLVM{name}")
        function.restype = c_void_p
        return c_void_p(function(*arguments))


def _text(pointer: c_void_p) -> str:
    """Return the C string at ``pointer``, empty where that is null."""
    return (ctypes.cast(pointer, c_char_p).value or b"").decode(errors="replace")


def ignored_features(said: str) -> list[str]:
    """Return the target features that LLVM says it ignored, without sign."""
    lines = (line for line in said.splitlines() if _IGNORED in line)
    return sorted({line.split("'")[1].lstrip("+-") for line in lines})
