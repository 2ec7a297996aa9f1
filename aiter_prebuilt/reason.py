"""Why a module is served, declined or worth a note: a code for machines, a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

from aiter_prebuilt.values import value_class

CODES: Mapping[str, str] = {
    "off": "AITER_PREBUILT=off (or 0)",
    "rebuild": "AITER_REBUILD is 1 or more: the user wants a fresh build",
    "not-shipped": "no installed wheel has this module",
    "manifest-missing": "there is no manifest.json in the package",
    "manifest-unreadable": "manifest.json cannot be read",
    "manifest-invalid": "manifest.json is not one that this version can read",
    "python": "the interpreter is no CPython of the stable ABI's floor or newer",
    "glibc": "the C library is older than the module needs",
    "gpu-none": "no AMD GPU was found",
    "gpu-other": "the GPU is another one than the module was compiled for",
    "gpu-mixed": "one of several GPUs is another one than the module was compiled for",
    "hip-missing": "no HIP runtime of the needed SONAME is mapped or can be found",
    "hip-other": "a HIP runtime of another SONAME is mapped; the module would map a second one",
    "hip-two": "two HIP runtimes are mapped already",
    "torch-import": "torch is installed, and importing it (for its HIP runtime) failed",
    "aiter-missing": "no aiter package is installed",
    "aiter-unreadable": "AITER's stubs or enums cannot be read",
    "aiter-signature": "AITER's stub has another signature than the module",
    "aiter-enum": "an enum of AITER has another value than the module was built with",
    "aiter-unknown": "AITER's CK2stages sources are not ones that were checked (a note only)",
    "torch": "torch is another version than the harvested module is linked to",
    "aiter-sources": "AITER is not the one that compiled the harvested module",
    "file-missing": "the module's file is not there",
    "file-unreadable": "the module's file cannot be read",
    "size": "the module's file has another size than the manifest says",
    "sha256": "the module's file has another content than the manifest says",
    "changed": "the module's file changed while it was being checked",
    "elf": "the module's file is no sound x86-64 shared object",
    "elf-needed": "the module's file needs other libraries than the manifest says",
    "elf-glibc": "the module's file needs symbols of a newer C library",
    "bundle-compressed": "the GPU code is compressed, so its targets cannot be checked",
    "bundle-missing": "the module's file holds no GPU code",
    "bundle-damaged": "the GPU code's table is damaged",
    "bundle-gfx": "the GPU code is for other targets than the manifest says",
    "load": "the dynamic linker or the module's own start refused it",
    "internal": "an error of this package's own; please report it",
}
"""Every code that :func:`aiter_prebuilt.reasons` and the CLI can give, with its meaning."""


@value_class(frozen=True, kw_only=True)
class Reason:
    """Why a module is declined, or what is worth a warning."""

    code: str
    message: str
