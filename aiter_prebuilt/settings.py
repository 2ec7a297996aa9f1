"""The runtime's settings: the only place that reads environment variables.

This file is imported at every interpreter start, so it loads nothing but ``os`` (no dataclasses,
no typing, not even ``__future__``).  A value that is not allowed gives one warning and the safe
default.
"""

import os

MODES = ("auto", "strict", "off", "prefer")
UNCOVERED = ("auto", "full", "jit", "error")
VISIBLE = (
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
)
"""What hides GPUs from a process; HIP reads CUDA's variable where its own is not set."""
_WORDS = {"0": "off", "no": "off", "false": "off", "1": "auto", "yes": "auto", "true": "auto"}
"""What people write for off and on beside the modes' own names."""


class Settings:
    """What the user asked for; treat as read-only."""

    __slots__ = (
        "jit_dir",
        "library_path",
        "meta_dir",
        "mode",
        "problems",
        "rebuild",
        "sysfs_root",
        "uncovered",
    )

    def __init__(
        self,
        *,
        mode: str = "auto",
        uncovered: str = "auto",
        jit_dir: str | None = None,
        rebuild: int = 0,
        meta_dir: str | None = None,
        sysfs_root: str = "/sys",
        library_path: tuple[str, ...] = (),
        problems: tuple[str, ...] = (),
    ) -> None:
        self.mode = mode
        """``AITER_PREBUILT``: one of :data:`MODES`; ``0``, ``no`` and ``false`` mean off."""
        self.uncovered = uncovered
        """``AITER_PREBUILT_UNCOVERED``: where a call outside a reduced module's coverage goes."""
        self.jit_dir = jit_dir
        """``AITER_JIT_DIR``, None where it is unset: AITER then imports ``aiter.jit.<module>``."""
        self.rebuild = rebuild
        """``AITER_REBUILD``: at 1 or more the user wants a fresh build."""
        self.meta_dir = meta_dir
        """``AITER_META_DIR``: where AITER's csrc lies, if not where it is installed."""
        self.sysfs_root = sysfs_root
        """``AITER_PREBUILT_SYSFS_ROOT``: another root than ``/sys``, for tests."""
        self.library_path = library_path
        """``LD_LIBRARY_PATH``, in order."""
        self.problems = problems
        """Values that were not allowed, one sentence each."""


def _copy(environ: object) -> "dict[str, str]":
    """Return a copy of the environment, or of ``environ``.

    Name by name: another thread may drop one meanwhile, as AITER does around each of its builds.
    """
    if environ is not None:
        return dict(environ)  # type: ignore[call-overload, no-any-return]
    found = {name: os.environ.get(name) for name in os.environ}
    return {name: value for name, value in found.items() if value is not None}


def read(environ: object = None) -> Settings:
    """Read the settings from ``environ`` (a mapping of strings; default: the process's)."""
    env = _copy(environ)
    problems: list[str] = []
    return Settings(
        mode=_mode(env, problems),
        uncovered=_choice(env, "AITER_PREBUILT_UNCOVERED", UNCOVERED, "auto", problems),
        jit_dir=env.get("AITER_JIT_DIR"),
        rebuild=_rebuild(env, problems),
        meta_dir=env.get("AITER_META_DIR") or None,
        sysfs_root=env.get("AITER_PREBUILT_SYSFS_ROOT") or "/sys",
        library_path=tuple(p for p in env.get("LD_LIBRARY_PATH", "").split(":") if p),
        problems=tuple(problems),
    )


class AiterSettings:
    """The variables by which AITER itself decides; treat as read-only."""

    __slots__ = (
        "bypass_tuned",
        "cu_num",
        "flydsl_force",
        "ksplit",
        "online_tune",
        "problems",
        "swiglu_bound",
        "tables",
    )

    def __init__(
        self,
        *,
        bypass_tuned: bool = False,
        cu_num: int = 0,
        flydsl_force: bool = True,
        ksplit: int = 0,
        online_tune: bool = False,
        swiglu_bound: int | None = None,
        tables: tuple[str, ...] = (),
        problems: tuple[str, ...] = (),
    ) -> None:
        self.bypass_tuned = bypass_tuned
        """``AITER_BYPASS_TUNE_CONFIG``: rows of tuned tables are not used."""
        self.cu_num = cu_num
        """``CU_NUM``: compute units, 0 where AITER asks the GPU."""
        self.flydsl_force = flydsl_force
        """``AITER_FLYDSL_FORCE``: FlyDSL for MXFP4 whatever the activation."""
        self.ksplit = ksplit
        """``AITER_KSPLIT``: split of K, 0 for AITER's own, -1 for none."""
        self.online_tune = online_tune
        """``AITER_ONLINE_TUNE``: shapes that no row answers are tuned while serving."""
        self.swiglu_bound = swiglu_bound
        """``GPTOSS_SWIGLU_MXFP4_BF16_BOUND``, None where it is unset."""
        self.tables = tables
        """``AITER_CONFIG_FMOE``: tuned tables instead of AITER's own."""
        self.problems = problems
        """Values for which AITER raises, one sentence each."""


def read_aiter(environ: object = None) -> AiterSettings:
    """Read AITER's own variables from ``environ`` (default: the process's), as AITER does."""
    env = _copy(environ)
    problems: list[str] = []
    bound = "GPTOSS_SWIGLU_MXFP4_BF16_BOUND"
    return AiterSettings(
        bypass_tuned=_whole(env, "AITER_BYPASS_TUNE_CONFIG", problems) != 0,
        cu_num=_whole(env, "CU_NUM", problems),
        flydsl_force=env.get("AITER_FLYDSL_FORCE", "1") == "1",
        ksplit=_whole(env, "AITER_KSPLIT", problems),
        online_tune=env.get("AITER_ONLINE_TUNE", "0") == "1",
        swiglu_bound=_whole(env, bound, problems) if bound in env else None,
        tables=tuple(env.get("AITER_CONFIG_FMOE", "").split(os.pathsep))
        if env.get("AITER_CONFIG_FMOE")
        else (),
        problems=tuple(problems),
    )


def _whole(env: dict[str, str], name: str, problems: list[str]) -> int:
    try:
        return int(env.get(name, "0"))
    except ValueError:
        problems.append(f"{name} is {env[name]!r}, expected a whole number: AITER raises")
        return 0


def visible(environ: object = None) -> tuple[tuple[str, str], ...]:
    """Which of :data:`VISIBLE` are set, in that order, with their values."""
    env = _copy(environ)
    return tuple((name, env[name].strip()) for name in VISIBLE if name in env)


def for_child(changes: object) -> "dict[str, str]":
    """Return this process's variables with ``changes`` (a mapping of strings), for a child."""
    return {**os.environ, **dict(changes)}  # type: ignore[call-overload]


def prefers() -> bool:
    """Whether the finder goes before AITER's own files (read once, at interpreter start)."""
    return os.environ.get("AITER_PREBUILT", "").strip().lower() == "prefer"


def swap_hip_clang(folder: str) -> str:
    """Set ``HIP_CLANG_PATH`` (empty: unset) and return what it was; AITER does so for a build."""
    before = os.environ.get("HIP_CLANG_PATH", "")
    if folder:
        os.environ["HIP_CLANG_PATH"] = folder
    else:
        os.environ.pop("HIP_CLANG_PATH", None)
    return before


def _mode(env: dict[str, str], problems: list[str]) -> str:
    word = _WORDS.get(env.get("AITER_PREBUILT", "").strip().lower())
    return word or _choice(env, "AITER_PREBUILT", MODES, "auto", problems)


def _choice(
    env: dict[str, str], name: str, allowed: tuple[str, ...], default: str, problems: list[str]
) -> str:
    value = env.get(name, "").strip().lower()
    if not value or value in allowed:
        return value or default
    problems.append(f"{name} is {value!r}, expected one of {', '.join(allowed)}; using {default}")
    return default


def _rebuild(env: dict[str, str], problems: list[str]) -> int:
    value = env.get("AITER_REBUILD", "").strip()
    try:
        return int(value or "0")
    except ValueError:
        problems.append(f"AITER_REBUILD is {value!r}, expected a number; standing aside")
        return 1
