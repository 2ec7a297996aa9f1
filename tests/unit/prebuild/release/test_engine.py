from __future__ import annotations

import pytest

from prebuild.release.engine import ContainerError, may_raise_limits, require

STATUS = "Name:\tpython\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{caps:016x}\n"
ALL = (1 << 41) - 1


@pytest.mark.parametrize(
    ("uid", "caps", "may"),
    [(0, ALL, True), (0, ALL & ~(1 << 24), False), (1000, 0, True)],
)
def test_limits_can_be_raised_with_the_capability_or_without_root(
    uid: int, caps: int, may: bool
) -> None:
    assert may_raise_limits(STATUS.format(uid=uid, caps=caps)) is may


def test_every_missing_program_is_named_with_what_to_do() -> None:
    require(["sh"])
    with pytest.raises(ContainerError, match="make release-tools") as caught:
        require(["sh", "no-such-program-a", "no-such-program-b"])
    assert len(caught.value.problems) == 2
