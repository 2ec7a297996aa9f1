from __future__ import annotations

import pytest

from prebuild.compile.ir import Dropped, attribute_names, edited

GROUP = (
    "attributes #9 = { nocallback nocreateundeforpoison nofree memory(argmem: readwrite, "
    'inaccessiblemem: read) allockind("alloc,zeroed") align=4 "a"="new b" '
    '"target-features"="+mai-insts,+sad-insts,-cube-insts" "uniform" }'
)
NEW = Dropped(
    attributes=frozenset({"nocreateundeforpoison"}),
    features=frozenset({"sad-insts", "cube-insts"}),
)


def test_only_what_is_named_is_dropped() -> None:
    (made,) = edited([GROUP], NEW)
    assert made == (
        "attributes #9 = { nocallback nofree memory(argmem: readwrite, inaccessiblemem: read) "
        'allockind("alloc,zeroed") align=4 "a"="new b" "target-features"="+mai-insts" "uniform" }'
    )


def test_nothing_to_drop_changes_no_byte() -> None:
    assert edited([GROUP, "", "ret void"], Dropped()) == [GROUP, "", "ret void"]


@pytest.mark.parametrize(
    "line",
    [
        "declare i32 @nocreateundeforpoison(i32) #9",
        "; Function Attrs: nocreateundeforpoison",
        '@s = constant [22 x i8] c"nocreateundeforpoison\\00"',
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert edited([line], NEW) == [line]


def test_a_name_inside_a_text_or_another_name_stays() -> None:
    line = 'attributes #0 = { nofree "nofree"="nofree" "target-features"="+nofree-insts" }'
    (made,) = edited([line], Dropped(attributes=frozenset({"nofree"})))
    assert made == 'attributes #0 = { "nofree"="nofree" "target-features"="+nofree-insts" }'


def test_what_nobody_can_read_is_left_to_the_reader() -> None:
    line = 'attributes #0 = { nofree new<3, {4}> "a" ?? align 8 }'
    (made,) = edited([line], Dropped(attributes=frozenset({"nofree"})))
    assert made == 'attributes #0 = { new<3, {4}> "a" ?? align 8 }'


def test_names_are_those_of_the_groups_without_what_they_carry() -> None:
    found = attribute_names([GROUP, "define void @f() nounwind {"])
    assert found == {
        "nocallback", "nocreateundeforpoison", "nofree", "memory", "allockind", "align"
    }  # fmt: skip
