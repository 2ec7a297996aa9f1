"""The local container: bootstrapped from Debian's packages, with our toolchain inside."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prebuild.core import proc
from prebuild.core.project import Project
from prebuild.core.settings import CodegenChoice, Settings
from prebuild.release.engine import ContainerError, Engine, network_arguments, require
from prebuild.toolchain import pin
from prebuild.toolchain.aiter_sources import find_aiter
from prebuild.toolchain.sources import mirrors_of

IMAGE = "localhost/aiter-prebuilt:debian"
BASE = "localhost/aiter-prebuilt-base"
LABEL = "aiter-prebuilt=build"
SUITE = "bookworm"
INSIDE = "/opt/aiter-prebuilt/cache"
"""PREBUILD_CACHE_DIR of the images."""
TOOLS = "/opt/aiter-prebuilt/tools"
"""PREBUILD_TOOLS of the images: the build tool's environment."""
INSIDE_PROJECT = "/project"
_AITER = "/aiter"
"""Where an AITER that the caller names is mounted."""
ROCM_IMAGE = "localhost/aiter-prebuilt:rocm"
# What runs the build script and CPython; what compiles is in the toolchain.
PACKAGES = (
    *("ca-certificates", "git", "make", "python3", "python3-venv", "xz-utils"),
    # of interpreters that were built from source on Debian 12
    *("libbz2-1.0", "libffi8", "liblzma5", "libncursesw6", "libreadline8", "libsqlite3-0"),
    *("libssl3", "libuuid1", "zlib1g", "libnsl2", "libtirpc3"),
)
# What sets an image up: the requirements, and the part of the build tool that installs compilers.
_CONTEXT = (
    *(f"packaging/{name}" for name in ("pyproject.toml", "constraints.txt", "containers")),
    *(f"packaging/prebuild/{name}" for name in ("__init__.py", "toolchain")),
    *(f"packaging/prebuild/cli/{name}.py" for name in ("__init__", "toolchain")),
    *(
        f"packaging/prebuild/core/{name}.py"
        for name in ("__init__", "errors", "git", "lock", "proc")
    ),
    "packaging/prebuild/core/settings.py",
    *(f"aiter_prebuilt/{name}" for name in ("__init__.py", "target.py", "values.py", "data")),
)
Say = Callable[[str], None]


def build(
    project: Project, settings: Settings, *, pythons: Sequence[Path], say: Say, force: bool = False
) -> str:
    """Build :data:`IMAGE`; returns its digest.

    ``pythons`` are interpreters of this machine that go along (each with its whole prefix), for
    tests.  The base is made once for each list of packages; ``force`` makes it anew.
    """
    engine = Engine.find(configuration(project))
    base = f"{BASE}:{base_tag()}"
    if force or not engine.has(base):
        require(["mmdebstrap"])
        say(f"bootstrapping {SUITE}: {len(PACKAGES)} packages and what they need")
        with tempfile.TemporaryDirectory(prefix="prebuild-base-") as scratch:
            archive = Path(scratch) / "base.tar"
            bootstrap(archive, mirrors_of(settings))
            engine.run("import", archive, base)
    with tempfile.TemporaryDirectory(prefix="prebuild-context-") as scratch:
        context = Path(scratch)
        say(f"collecting the context, with {len(pythons)} interpreters of this machine")
        fill_context(context, project, pythons)
        say(f"building {IMAGE}")
        file = project.root / "packaging" / "containers" / "Containerfile.debian"
        options = ["--file", str(file), "--build-arg", f"BASE={base}", "--tag", IMAGE]
        _build_image(engine, [*options, str(context)])
    return engine.digest(IMAGE)


def _build_image(engine: Engine, arguments: Sequence[str]) -> None:
    """Build; images of ours that lost their tag to the new one go."""
    engine.attached("build", *network_arguments(), f"--label={LABEL}", *arguments)
    engine.run("image", "prune", "--force", "--filter", f"label={LABEL}")


def cibuildwheel(
    project: Project, settings: Settings, *, image: str, config: Mapping[str, str], out: Path
) -> list[Path]:
    """Build, repair and test the wheel of HEAD with cibuildwheel in ``image``.

    ``config`` are the backend's config settings.  What is compiled goes to this machine's object
    cache and comes from there.  Returns the wheels, which are in ``out``.
    """
    require_images_compiler(settings)
    engine = Engine.find(configuration(project))
    digest = engine.digest(image)
    objects = settings.cache_dir / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    create = [
        *network_arguments(),
        f"--volume={objects}:{INSIDE}/objects",
        *_ck_volume(settings),
    ]
    environment = {
        **engine.environment,
        **_ck_environment(settings),
        "CIBW_CONTAINER_ENGINE": f"podman; create_args: {shlex.join(create)}",
        "CIBW_MANYLINUX_X86_64_IMAGE": image,
        "CIBW_CONFIG_SETTINGS": " ".join(f"{key}={value}" for key, value in config.items()),
        "PREBUILD_CONTAINER": f"{image}@{digest}",
    }
    with tempfile.TemporaryDirectory(prefix="prebuild-cibw-") as scratch:
        checkout, made = Path(scratch) / "checkout", Path(scratch) / "wheels"
        clone(project, checkout)
        command = [sys.executable, "-m", "cibuildwheel", "--platform", "linux"]
        code = proc.run_attached([*command, "--output-dir", made], cwd=checkout, env=environment)
        if code != 0:
            raise ContainerError("cibuildwheel failed:", [f"exit code {code}, see above"])
        out.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(wheel, out)) for wheel in sorted(made.glob("*.whl"))]


def require_images_compiler(settings: Settings) -> None:
    """Raise :class:`ContainerError` where kernels are to be made by AMD's LLVM: images have none.

    ``make TARGET CONTAINER=... CODEGEN=amd`` fetches it inside, which their builds do not.
    """
    if settings.codegen is not CodegenChoice.CLANG:
        raise ContainerError(
            "cibuildwheel and reproduce build with the compiler of the image alone:",
            [f"PREBUILD_CODEGEN (make: CODEGEN) is {settings.codegen.value}; leave it out"],
        )


def run(
    project: Project,
    image: str,
    command: Sequence[str],
    *,
    settings: Settings,
    named: bool = True,
) -> None:
    """Run a command of the project's Makefile in ``image``, on a checkout of HEAD.

    Objects and their costs come from the cache of ``settings`` and go there; ``dist/`` and
    ``wheelhouse/`` are this checkout's own.  A composable kernel that ``settings`` name is used
    instead of the image's.  ``named`` puts the image's digest into the build record.
    """
    cache = settings.cache_dir
    engine = Engine.find(configuration(project))
    digest = engine.digest(image)
    objects = cache / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prebuild-run-") as scratch:
        checkout, costs = Path(scratch) / "checkout", Path(scratch) / "costs"
        clone(project, checkout)
        costs.mkdir()
        _copy_if_there(cache / "costs.json", costs)
        mounts = {checkout: INSIDE_PROJECT, objects: f"{INSIDE}/objects", costs: "/costs"}
        for name in ("dist", "wheelhouse"):
            (project.root / name).mkdir(exist_ok=True)
            mounts[project.root / name] = f"{INSIDE_PROJECT}/{name}"
        environment = {**_INSIDE, **_ck_environment(settings)}
        if named:
            environment["PREBUILD_CONTAINER"] = f"{image}@{digest}"
        engine.attached(
            *("run", "--rm", "--workdir", INSIDE_PROJECT, *network_arguments()),
            *(f"--volume={outside}:{inside}" for outside, inside in mounts.items()),
            *_ck_volume(settings),
            *(f"--env={name}={value}" for name, value in environment.items()),
            *(image, "sh", "-c", _WITH_COSTS, "sh", *command),
        )
        _copy_if_there(costs / "costs.json", cache)


# The image's tools stand for the environment that make would set up.
_INSIDE = {
    "VENV": TOOLS,
    "PYTHONPATH": f"{INSIDE_PROJECT}/packaging:{INSIDE_PROJECT}",
}


# A book of costs is replaced as a whole, which the mount of a single file does not allow.  The
# environment is ready for the Makefile, though a checkout's files are younger.
_WITH_COSTS = """\
touch "$PREBUILD_TOOLS/.ready"
cp /costs/costs.json "$PREBUILD_CACHE_DIR" 2>/dev/null
"$@"; code=$?
cp "$PREBUILD_CACHE_DIR/costs.json" /costs 2>/dev/null
exit $code
"""


def _copy_if_there(source: Path, target: Path) -> None:
    if source.exists():
        shutil.copy(source, target)


def _ck_volume(settings: Settings) -> list[str]:
    """Mount the whole checkout: licence, commit and generated header lie beside the headers."""
    if settings.aiter is not None:
        return [f"--volume={find_aiter(settings.aiter).root}:{_AITER}:ro"]
    if settings.ck_include is not None:
        return [f"--volume={settings.ck_include.parent}:/ck:ro"]
    return []


def _ck_environment(settings: Settings) -> dict[str, str]:
    """The same by the names inside; an image's own PREBUILD_AITER gives way."""
    if settings.aiter is not None:
        return {"PREBUILD_AITER": _AITER}
    if settings.ck_include is not None:
        return {"PREBUILD_AITER": "", "PREBUILD_CK_INCLUDE": f"/ck/{settings.ck_include.name}"}
    return {}


def clone(project: Project, target: Path) -> None:
    """Check HEAD out to ``target``: the commit, not the work tree with all that lies around."""
    proc.run(["git", "clone", "--quiet", project.root, target])


def build_rocm(project: Project, rocm_image: str) -> str:
    """Build :data:`ROCM_IMAGE` on AMD's image ``rocm_image``; returns its digest.

    The composable kernel in it is the pinned one, which is fetched.
    """
    engine = Engine.find(configuration(project))
    with tempfile.TemporaryDirectory(prefix="prebuild-context-") as scratch:
        context = Path(scratch)
        fill_context(context, project, ())
        pin.fetch(pin.read_pin(project.matrix), context / "aiter")
        file = project.root / "packaging" / "containers" / "Containerfile.rocm"
        options = ["--file", str(file), "--build-arg", f"ROCM_IMAGE={rocm_image}"]
        _build_image(engine, [*options, "--tag", ROCM_IMAGE, str(context)])
    return engine.digest(ROCM_IMAGE)


def configuration(project: Project) -> Path:
    """The containers.conf for machines with reduced capabilities."""
    return project.root / "packaging" / "containers" / "containers.conf"


def bootstrap(archive: Path, mirrors: Sequence[str]) -> None:
    """Write the root file system of the base, from Debian's packages, to ``archive``."""
    # Frozen mirrors have Release files that are past their date; apt still checks the signatures.
    proc.run(
        [
            *("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *("--aptopt=Acquire::Check-Valid-Until false", "--aptopt=Acquire::Check-Date false"),
            *(SUITE, archive),
            *(f"deb {mirror} {SUITE} main" for mirror in mirrors),
        ]
    )


def fill_context(context: Path, project: Project, pythons: Sequence[Path]) -> None:
    """Lay out what the Containerfile copies: the build tool, and interpreters of this machine."""
    for name in _CONTEXT:
        source, target = project.root / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    overlay = context / "pythons"
    listed = overlay / "opt" / "pythons.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{_copy_prefix(python, overlay)}\n" for python in pythons))


def _copy_prefix(python: Path, overlay: Path) -> str:
    """Copy an interpreter's whole prefix to the same place below ``overlay``; returns its path.

    The same place as here, because one that was built from source finds its library by RPATH.
    """
    prefix, executable = proc.run([python, "-I", "-c", _PREFIX]).decode().splitlines()
    if prefix == "/usr":
        raise ContainerError(
            "an interpreter of the system cannot be copied into a container:",
            [f"{python} has the prefix /usr; the container has its own of Debian {SUITE}"],
        )
    unwanted = ("__pycache__", "site-packages", "test", "*.a", "idle_test")
    target = overlay / Path(prefix).relative_to("/")
    ignore = shutil.ignore_patterns(*unwanted)
    shutil.copytree(prefix, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)
    return executable


_PREFIX = "import os, sys; print(sys.base_prefix, os.path.realpath(sys.executable), sep='\\n')"


def base_tag() -> str:
    """The tag of the base image: another list of packages, another image."""
    text = " ".join((SUITE, *PACKAGES))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
