"""The wheel's bill of materials (PEP 770): what is in it, and what it was made with.

CycloneDX 1.6 as JSON; the same manifest gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL

from aiter_prebuilt import target
from aiter_prebuilt.wheel.manifest import BuildRecord, Manifest
from prebuild.core.errors import ProblemsError
from prebuild.toolchain import Toolchain
from prebuild.toolchain.model import PackageRef

DISTRIBUTION = target.load().distribution
SBOM_NAME = f"{DISTRIBUTION}.cdx.json"
_NAMESPACE = uuid.UUID("6b3a9d1e-6f0f-5c0c-9f43-6d2f0a5b9c50")
"""Of the serial numbers, which are hashes of the content (UUID version 5)."""


class SbomError(ProblemsError):
    """A bill of materials is not valid CycloneDX."""

    exit_code = 6


def make_sbom(manifest: Manifest, toolchain: Toolchain, *, epoch: int) -> str:
    """Return the SBOM of a wheel with this manifest; ``epoch`` is its time, seconds since 1970."""
    root = Component(
        name=DISTRIBUTION,
        version=manifest.version,
        type=ComponentType.LIBRARY,
        bom_ref=DISTRIBUTION,
        purl=PackageURL(type="pypi", name=DISTRIBUTION, version=manifest.version),
        licenses=[_licence("MIT")],
        properties=list(_record(manifest.build)),
    )
    modules = [_module(module.file, module.sha256) for module in manifest.modules]
    headers = _headers(manifest.build)
    bom = Bom(
        components=[*modules, *headers],
        metadata=BomMetaData(
            component=root,
            timestamp=datetime.fromtimestamp(epoch, UTC),
            tools=ToolRepository(components=_tools(manifest.build, toolchain.packages)),
        ),
    )
    bom.register_dependency(root, modules)
    for module in modules:
        bom.register_dependency(module, headers)
    content = JsonV1Dot6(bom).output_as_string()
    bom.serial_number = uuid.uuid5(_NAMESPACE, _without_serial(content))
    text = json.dumps(json.loads(JsonV1Dot6(bom).output_as_string()), indent=1, sort_keys=True)
    validate(text)
    return text + "\n"


def validate(text: str) -> None:
    """Raise :class:`SbomError` where ``text`` breaks the schema of CycloneDX 1.6."""
    # Late: it compiles a grammar for a second, which every other command would wait for.
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise SbomError("the SBOM does not meet CycloneDX 1.6:", [str(problem)])


def _without_serial(text: str) -> str:
    raw = json.loads(text)
    raw.pop("serialNumber", None)
    return json.dumps(raw, sort_keys=True)


def _module(file: str, sha256: str) -> Component:
    return Component(
        name=file,
        type=ComponentType.FILE,
        bom_ref=file,
        hashes=[_sha256(sha256)],
        licenses=[_licence("MIT")],
    )


def _headers(record: BuildRecord) -> list[Component]:
    """What is compiled into the modules, being headers: composable kernel and HIP."""
    known = (("composable_kernel", record.ck_version), ("hip", record.hip_version))
    return [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{name}@{version}",
            scope=ComponentScope.REQUIRED,
            licenses=[_licence("MIT")],
            properties=[Property(name="aiter-prebuilt:use", value="headers, compiled in")],
        )
        for name, version in known
    ]


def _tools(record: BuildRecord, packages: Iterable[PackageRef]) -> list[Component]:
    compiler = Component(
        name="clang",
        version=record.compiler,
        type=ComponentType.APPLICATION,
        bom_ref="compiler",
        properties=[
            Property(name="aiter-prebuilt:toolchain", value=record.toolchain),
            *(
                [Property(name="aiter-prebuilt:code-generator", value=record.code_generator)]
                if record.code_generator
                else []
            ),
        ],
    )
    # A package that two components of the toolchain hold stands once.
    unique = {(package.name, package.version): package for package in packages}
    return [compiler, *(_package(package) for _, package in sorted(unique.items()))]


def _package(package: PackageRef) -> Component:
    kind, namespace = {"debian": ("deb", "debian"), "pypi": ("pypi", None)}[package.origin]
    purl = PackageURL(type=kind, namespace=namespace, name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=[_sha256(package.sha256)],
    )


def _record(record: BuildRecord) -> Iterator[Property]:
    state = "dirty" if record.source_dirty else "clean"
    yield Property(name="aiter-prebuilt:source", value=f"{record.source_commit} ({state})")
    yield Property(name="aiter-prebuilt:gfx-target", value=record.gfx_target)
    yield Property(name="aiter-prebuilt:device-flags", value=" ".join(record.device_flags))
    if record.container is not None:
        yield Property(name="aiter-prebuilt:container", value=record.container)
    for name, digest in sorted(record.recipes.items()):
        yield Property(name=f"aiter-prebuilt:recipe:{name}", value=digest)


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _licence(name: str) -> DisjunctiveLicense:
    return DisjunctiveLicense(id=name)
