"""Writing the lock: apt's resolver turns ``components.toml`` into exact packages."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prebuild.core.errors import ToolchainError
from prebuild.toolchain.apt import Apt, require_tools
from prebuild.toolchain.lock import Component, Lock, LockedComponent, LockedPackage


def relock(
    components: Sequence[Component], mirrors: Sequence[str], say: Callable[[str], None]
) -> Lock:
    """Resolve every component against ``mirrors`` as they are now."""
    require_tools(("apt-get", "apt-cache", "apt-config"))
    locked = []
    for component in components:
        with tempfile.TemporaryDirectory(prefix="prebuild-apt-") as folder:
            apt = Apt.create(
                Path(folder),
                mirrors=mirrors,
                suites=component.suites,
                preferences=preferences(component),
            )
            say(f"{component.name}: reading {', '.join(component.suites)}")
            apt.update()
            locked.append(_locked(apt, component))
        say(f"{component.name}: {len(locked[-1].packages)} packages")
    return Lock(version=1, architecture="amd64", components=tuple(locked))


def preferences(component: Component) -> str:
    """apt pins: the first suite for packages in ``prefer``, the last one for all others."""
    if len(component.suites) == 1:
        return ""
    first, last = component.suites[0], component.suites[-1]
    names = " ".join(component.prefer)
    return (
        f"Package: {names}\nPin: release n={_codename(first)}\nPin-Priority: 990\n\n"
        f"Package: *\nPin: release n={_codename(last)}\nPin-Priority: 500\n\n"
        f"Package: *\nPin: release n={_codename(first)}\nPin-Priority: 1\n"
    )


def _codename(suite: str) -> str:
    return {"experimental": "rc-buggy", "unstable": "sid"}.get(suite, suite)


def _locked(apt: Apt, component: Component) -> LockedComponent:
    versions = _versions(apt, component)
    packages = [
        LockedPackage(
            name=record["package"],
            version=record["version"],
            suite=_suite(apt, component, record),
            sha256=record["sha256"],
            size=int(record["size"]),
            filename=record["filename"],
        )
        for record in apt.records(versions)
    ]
    missing = sorted(set(versions) - {package.name for package in packages})
    if missing:
        raise ToolchainError(
            f"component {component.name} cannot be locked:",
            [f"{name} {versions[name]} has no record in the archive" for name in missing],
        )
    return LockedComponent(
        name=component.name, packages=tuple(sorted(packages, key=lambda package: package.name))
    )


def _versions(apt: Apt, component: Component) -> Mapping[str, str]:
    candidates = apt.candidates(component.roots)
    absent = [name for name in component.roots if name not in candidates]
    if absent:
        raise ToolchainError(
            f"component {component.name} cannot be locked:",
            [f"{name} is not in {', '.join(component.suites)}" for name in absent],
        )
    if "*" in component.assume:
        return candidates
    # An assumed package carries its real version, so that `Depends: x (= version)` is met.
    real = apt.candidates(component.assume)
    apt.assume({name: real.get(name, "9999") for name in component.assume})
    return apt.resolve(component.roots)


def _suite(apt: Apt, component: Component, record: Mapping[str, str]) -> str:
    if len(component.suites) == 1:
        return component.suites[0]
    text = apt.run("apt-cache", "madison", record["package"])
    for line in text.splitlines():
        _, version, where = (part.strip() for part in line.split("|"))
        if version == record["version"]:
            suite = where.split()[1].partition("/")[0]
            if suite in component.suites:
                return suite
    return component.suites[-1]
