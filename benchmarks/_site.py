"""A site folder to measure in: the package as installed, with fixture or with real modules."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.runtime import sitemaker


@contextmanager
def site(
    real_package: Path | None, runtime: Path | None = None
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield (site folder, environment).

    ``real_package`` holds manifest.json and modules/, ``runtime`` a libamdhip64.so.7 for them.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        parts = sitemaker.make_parts(root / "parts")
        package = sitemaker.make_site(root / "site", parts)
        if real_package is not None:
            shutil.rmtree(package / "modules")
            shutil.copytree(real_package / "modules", package / "modules")
            shutil.copy(real_package / "manifest.json", package)
        env = {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": str(runtime or parts.hip.parent),
            "AITER_PREBUILT_SYSFS_ROOT": str(sitemaker.make_sysfs(root / "sys", 90500)),
        }
        yield root / "site", env


def summary(name: str, samples: list[float], unit: str = "ms") -> str:
    """Return one line: median, 99th percentile and least of the samples."""
    ordered = sorted(samples)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return (
        f"{name:<44} median {statistics.median(ordered):8.3f} {unit}  p99 {p99:8.3f} {unit}  "
        f"least {ordered[0]:8.3f} {unit}  ({len(ordered)} runs)"
    )


def run(arguments: list[str], env: dict[str, str]) -> str:
    """Run this interpreter without its own site-packages; returns its output."""
    command = [sys.executable, "-S", *arguments]
    done = subprocess.run(
        command, env=env, check=True, capture_output=True, text=True, cwd=tempfile.gettempdir()
    )
    return done.stdout
