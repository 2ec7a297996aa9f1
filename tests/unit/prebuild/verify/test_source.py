"""Where kernels come from, with the reader of machine code replaced."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiter_prebuilt.wheel.manifest import Kernel, Manifest
from prebuild.core.errors import ProblemsError
from prebuild.verify import source
from prebuild.verify.errors import NoKernelError
from prebuild.verify.subject import Found, Subject
from prebuild.verify.verdict import Verdict, into_manifest

FATBIN = b"\x7fELF .hip_fatbin\0"


class Stand:
    """An object with the attributes that are read of it."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


@pytest.fixture
def reader(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> dict[str, Found]:
    files = {"module.so": Found(subjects=(subject,), unknown=("other",))}
    monkeypatch.setattr(source, "subjects_in", lambda path: files[path.name])
    return files


def listing(monkeypatch: pytest.MonkeyPatch, *symbols: str, harvest: object = None) -> None:
    """Make every manifest list one module with these kernels."""
    instance = Stand(kernels=[Stand(symbol=symbol) for symbol in symbols])
    module = Stand(file="module.so", instances=[instance], harvest=harvest, features=None)
    monkeypatch.setattr(source, "read_manifest", lambda file: Stand(modules=[module]))  # noqa: ARG005


def test_a_folder(reader: dict[str, Found], subject: Subject, tmp_path: Path) -> None:
    assert reader
    (tmp_path / "module.so").write_bytes(FATBIN)
    (tmp_path / "plain.so").write_bytes(b"\x7fELF without kernels")
    found = source.collect(tmp_path)
    assert found.subjects == (subject,)
    assert found.unknown == ("other",)


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_launch_of_every_module_with_a_kernel_counts(
    wrong: int,
    reader: dict[str, Found],
    subject: Subject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["module.so", "second.so"]
    reader["second.so"] = reader["module.so"]
    modules = [
        Stand(
            file=name,
            name=name,
            harvest=None,
            features=object(),
            instances=[Stand(kernels=[Stand(symbol=symbol) for symbol in ("kernel", "other")])],
        )
        for name in names
    ]
    (tmp_path / "manifest.json").write_text("{}")
    for name in names:
        (tmp_path / name).write_bytes(FATBIN)

    def launched(_module: Any, _features: Any, file: Path, found: Any, _recorder: Any) -> Any:
        problem = "grid" if file.name == names[wrong] else ""
        return [replace(one, launch_problem=problem) for one in found]

    monkeypatch.setattr(source, "read_manifest", lambda file: Stand(modules=modules))  # noqa: ARG005
    monkeypatch.setattr(source, "with_launches", launched)
    recorder: Any = object()
    heard: list[tuple[int, int, str]] = []
    (found,) = source.collect(tmp_path, recorder, lambda *done: heard.append(done)).subjects
    assert found == replace(subject, launch_problem="grid")
    assert heard == [(at, 2, f"launches of {name}") for at, name in enumerate(names, 1)]


def test_a_wheel_is_unpacked(reader: dict[str, Found], tmp_path: Path) -> None:
    assert reader
    wheel = tmp_path / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/modules/module.so", FATBIN)
        archive.writestr("package/code.py", "x = 1")
    with source.opened(wheel) as place:
        assert place.name.startswith(wheel.name)
        assert [path.name for path in place.rglob("*") if path.is_file()] == ["module.so"]
        assert len(source.collect(place).subjects) == 1
    assert not place.exists()


def test_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(NoKernelError, match="holds no module"):
        source.collect(tmp_path)
    (tmp_path / "notes.md").write_text("no code")
    with pytest.raises(NoKernelError, match="holds no kernel for gfx950"):
        source.collect(tmp_path / "notes.md")
    with pytest.raises(NoKernelError, match="no such file"), source.opened(tmp_path / "gone"):
        pass


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (("kernel", "other", "gone"), "gone is listed but not in the module"),
        (("kernel",), "other is in the module but not listed"),
    ],
)
def test_a_manifest_that_does_not_fit(
    reader: dict[str, Found],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listed: tuple[str, ...],
    said: str,
) -> None:
    assert reader
    (tmp_path / "module.so").write_bytes(FATBIN)
    (tmp_path / "manifest.json").write_text("{}")
    listing(monkeypatch, *listed)
    with pytest.raises(ProblemsError, match=said):
        source.collect(tmp_path)


def test_a_manifest_that_fits_and_one_that_lists_nothing(
    reader: dict[str, Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader
    (tmp_path / "module.so").write_bytes(FATBIN)
    (tmp_path / "manifest.json").write_text("{}")
    listing(monkeypatch, "kernel", "other")
    assert len(source.collect(tmp_path).subjects) == 1
    listing(monkeypatch, harvest=object())
    assert len(source.collect(tmp_path).subjects) == 1


def test_verdicts_go_into_the_manifest(verdict: Verdict) -> None:
    kernels = tuple(
        Kernel(
            main_loop=False, tail="odd", symbol=symbol, vgprs=1, agprs=0, sgprs=1, lds_bytes=0,
            scratch_bytes=0, vgpr_spills=0, sgpr_spills=0, code_bytes=4,
        )
        for symbol in ("kernel", "unverified", "wrong")
    )  # fmt: skip
    manifest = _manifest(kernels)
    bad = replace(verdict, symbol="wrong", ok=False)
    result = into_manifest(manifest, [verdict, bad])
    found = [kernel.verified for kernel in result.modules[0].instances[0].kernels]
    assert found == [verdict.manifest(), None, None]


def _manifest(kernels: tuple[Kernel, ...]) -> Manifest:
    from aiter_prebuilt.wheel.manifest import BuildRecord, Instance, Module

    instance = Instance(
        name="i", stage=1, block_m=32, n_per_block=32, k_per_block=256, prefetch_stages=2,
        tails="parity", reached_by=(), kernels=kernels,
    )  # fmt: skip
    module = Module(
        name="m", stock_name="m", features=None, coverage="full", key="", file="modules/m.so",
        sha256="0" * 64, size=1, gfx_targets=(), cpython_floor="3.10", glibc_floor="2.24",
        needed=(), recipes=(), instances=(instance,),
    )  # fmt: skip
    build = BuildRecord(
        toolchain="debian", compiler="c", hip_version="7", ck_version="7", gfx_target="gfx950",
        device_flags=(), left_out=(), packages=(), source_commit="", source_dirty=False,
        recipes={},
    )  # fmt: skip
    return Manifest(schema=1, version="1", build=build, contracts={}, modules=(module,))
