"""What the binding promises CPython: exceptions, references, state, sizes, streams.

Launchers are stubs that say what they got (``launchers.cpp``): 1, 2 and 3 tokens make them throw, 4
are not covered, other numbers are launched.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from prebuild.core.contracts import load_contracts
from prebuild.recording import driver
from tests.integration.binding.conftest import Built, arguments, made_up, tensor

pytestmark = pytest.mark.toolchain
MAX = 2**31 - 1


class Raises:
    """A tensor, a number and a truth whose every answer raises."""

    def __init__(self, error: BaseException | type[BaseException]) -> None:
        self.error = error

    def _raise(self, *_: object) -> Any:
        raise self.error

    __index__ = __bool__ = get_device = data_ptr = is_contiguous = size = numel = _raise
    dtype = property(_raise)


class Partly(driver.Tensor):
    """A tensor of which one method raises."""

    def __init__(self, method: str, error: BaseException, *shape: int) -> None:
        super().__init__(shape=list(shape), dtype="uint8", pointer=0x1000, device=0)

        def fail(*_: object) -> Any:
            raise error

        setattr(self, method, fail)


# ---- Exceptions ----


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("full"), AttributeError("x")])
@pytest.mark.parametrize("argument", ["top_k", "is_shuffled", "activations", "out"])
def test_what_an_arguments_own_code_raises_passes_through(
    module: Any, argument: str, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        module.ck_moe_stage1(*arguments(**{argument: Raises(error)}))
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("full"), AttributeError("x")])
@pytest.mark.parametrize("method", ["get_device", "is_contiguous", "data_ptr", "size"])
def test_what_a_tensors_method_raises_passes_through(
    module: Any, method: str, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        module.ck_moe_stage1(*arguments(activations=Partly(method, error, 64, 2048)))
    assert caught.value is error


def test_what_the_streams_function_raises_passes_through(module: Any) -> None:
    error = KeyboardInterrupt()
    sys.modules["torch._C"]._cuda_getCurrentRawStream = Raises(error)._raise  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt) as caught:
        module.ck_moe_stage1(*arguments())
    assert caught.value is error


@pytest.mark.parametrize(
    ("argument", "value", "text"),
    [
        ("top_k", "eight", "'topk' is 'eight', expected a 32-bit int"),
        ("top_k", 1.5, "'topk' is 1.5, expected a 32-bit int"),
        ("block_m", 2**31, "'block_m' is 2147483648, expected a 32-bit int"),
        ("block_m", -(2**70), "expected a 32-bit int"),
        ("kernel_name", b"x", "'kernelName' is b'x', expected str or None"),
        ("out", object(), "out is <class 'object'>, expected torch.Tensor"),
    ],
)
def test_what_is_ours_to_say_is_a_type_error(
    module: Any, argument: str, value: object, text: str
) -> None:
    with pytest.raises(TypeError, match=r".") as caught:
        module.ck_moe_stage1(*arguments(**{argument: value}))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "kind", "text"),
    [
        (1, RuntimeError, "ck_moe_stage1(): launching moe_ck2stages_gemm1_64x32x32x128_1x1_"),
        (1, RuntimeError, "failed: CK says no"),
        (2, MemoryError, ""),
        (3, RuntimeError, "a C++ exception of an unknown type"),
    ],
)
def test_what_ck_throws_becomes_a_python_exception(
    module: Any, tokens: int, kind: type[BaseException], text: str
) -> None:
    with pytest.raises(kind) as caught:
        module.ck_moe_stage1(*arguments(tokens=tokens))
    assert text in str(caught.value)
    assert module.ck_moe_stage1(*arguments()) is None


@pytest.mark.parametrize(
    ("raiser", "kind"), [("raise_interrupt", KeyboardInterrupt), ("raise_memory", MemoryError)]
)
def test_an_exchange_api_that_fails_for_another_reason_is_not_asked_again(
    module: Any, built: Built, raiser: str, kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        module.ck_moe_stage1(*arguments(out=exchanging(built, facts=raiser)))


def test_an_exchange_api_that_refuses_leaves_the_tensor_to_its_methods(
    module: Any, built: Built
) -> None:
    given = on_gpu(2, arguments(out=exchanging(built, facts="raise_buffer")))
    assert module.ck_moe_stage1(*given) is None


# ---- Streams ----


def exchanging(built: Built, *, facts: str | None = None, stream: str | None = "") -> Any:
    """An output tensor whose exchange API is that of the driver but for what is named.

    Names are functions of ``launchers.cpp``; a stream of None is a null pointer.
    """
    api = driver.ExchangeApi.from_buffer_copy(driver.API)
    if facts is not None:
        api.tensor_from_object = ctypes.cast(getattr(built.probe, facts), ctypes.c_void_p)
    if stream is None:
        api.current_work_stream = None
    elif stream:
        api.current_work_stream = ctypes.cast(getattr(built.probe, stream), ctypes.c_void_p)
    capsule = driver.capsule(ctypes.addressof(api), driver.CAPSULE_NAME, None)
    kind = type("Odd", (driver.ExchangeTensor,), {"__dlpack_c_exchange_api__": capsule, "api": api})
    return kind(shape=[64, 8, 1024], dtype="bfloat16", pointer=0x1000, device=2)


def on_gpu(device: int, values: list[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, driver.Tensor):
            value._device = device
    return values


@pytest.mark.parametrize(
    ("stream", "expected"),
    [("", driver.STREAM + 2), (None, 0x9000 + 2), ("raise_stream_buffer", 0x9000 + 2)],
)
def test_the_stream_is_the_exchange_apis_else_torchs_private_one(
    module: Any, built: Built, stream: str | None, expected: int
) -> None:
    module.ck_moe_stage1(*on_gpu(2, arguments(out=exchanging(built, stream=stream))))
    last = built.probe.last_stream
    last.restype = ctypes.c_void_p
    assert last() == expected


def test_with_the_exchange_api_torch_is_not_asked(module: Any) -> None:
    del sys.modules["torch._C"]._cuda_getCurrentRawStream  # type: ignore[attr-defined]
    assert module.ck_moe_stage1(*arguments(exchange=True)) is None


# ---- Sizes ----


@pytest.mark.parametrize("exchange", [False, True], ids=["methods", "exchange"])
@pytest.mark.parametrize(
    ("argument", "dtype", "shape", "text"),
    [
        ("activations", "uint8", (2**31, 2048), "hidden_states.size(0) is 2147483648"),
        ("activations", "uint8", (2**32 + 64, 2048), "hidden_states.size(0) is 4294967360"),
        ("activations", "uint8", (64, 2**30), "hidden_states.size(-1) is 1073741824"),
        ("w1", "uint8", (64, 2**31, 2048), "w1.size(1) is 2147483648"),
    ],
)
def test_a_size_of_more_than_31_bits_is_a_clear_error(
    module: Any, exchange: bool, argument: str, dtype: str, shape: tuple[int, ...], text: str
) -> None:
    given = arguments(exchange=exchange, **{argument: tensor(dtype, *shape, exchange=exchange)})
    with pytest.raises(ValueError, match=r"expected 0 to \d+") as caught:
        module.ck_moe_stage1(*given)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "top_k", "block_m", "sorted_ids", "expected"),
    [
        (64, 8, 32, 50_000, 64 * 8 * 32),
        (64, 8, 32, 1000, 1000),
        (MAX, MAX, 32, 1000, 1000),
        (64, 8, 32, 2**40, 64 * 8 * 32),
    ],
)
def test_no_product_of_sizes_wraps(
    module: Any, built: Built, tokens: int, top_k: int, block_m: int, sorted_ids: int, expected: int
) -> None:
    given = arguments(
        activations=tensor("uint8", tokens, 2048),
        top_k=top_k,
        block_m=block_m,
        sorted_token_ids=tensor("int32", sorted_ids),
    )
    module.ck_moe_stage1(*given)
    assert built.probe.last_sorted_size() == expected


def test_more_sorted_ids_than_31_bits_hold_is_a_clear_error(module: Any) -> None:
    given = arguments(
        activations=tensor("uint8", MAX, 2048), sorted_token_ids=tensor("int32", 2**33)
    )
    with pytest.raises(ValueError, match=r"sorted_token_ids.size\(0\) is 8589934592"):
        module.ck_moe_stage1(*given)


@pytest.mark.parametrize("argument", ["top_k", "block_m"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_count_below_one_is_a_clear_error(module: Any, argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"is {value}, expected 1 or more"):
        module.ck_moe_stage1(*arguments(**{argument: value}))


def test_a_kernel_name_is_compared_whole(module: Any, built: Built) -> None:
    name = built.planned.built[0].name
    with pytest.warns(RuntimeWarning, match="is not known"):
        module.ck_moe_stage1(*arguments(kernel_name=f"{name}\0x"))
    with pytest.warns(RuntimeWarning, match="is not known"):
        module.ck_moe_stage1(*arguments(kernel_name="x" * 1000))
    with pytest.raises(UnicodeEncodeError):
        module.ck_moe_stage1(*arguments(kernel_name="\ud800"))


# ---- References ----

WAYS: dict[str, Callable[[], tuple[list[Any], dict[str, Any]]]] = {
    "launched": lambda: (arguments(), {}),
    "launched by the exchange API": lambda: (arguments(exchange=True), {}),
    "thrown": lambda: (arguments(tokens=1), {}),
    "uncovered": lambda: (arguments(tokens=4)[:-1], {"is_shuffled": True}),
    "wrong dtype": lambda: (arguments(out=tensor("float32", 64, 8, 1024)), {}),
    "wrong number": lambda: (arguments(top_k="x"), {}),
    "raising": lambda: (arguments(out=Raises(KeyError)), {}),
    "unknown keyword": lambda: (arguments(), {"colour": 7}),
    "too large": lambda: (arguments(activations=tensor("uint8", 2**31, 1)), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_ten_thousand_calls_leak_nothing(module: Any, way: str) -> None:
    given, keywords = WAYS[way]()
    hook = functools.partial(lambda *_: None)
    module._set_uncovered(hook)

    def calls(count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(RuntimeError, TypeError, KeyError, ValueError):
                module.ck_moe_stage1(*given, **keywords)

    def counts() -> list[int]:
        watched = [*given, *map(type, given), hook, module, TypeError, KeyError]
        return [sys.getrefcount(item) for item in watched]

    calls(10)
    gc.collect()
    before, blocks = counts(), sys.getallocatedblocks()
    calls(10_000)
    gc.collect()
    differences = [abs(now - then) for now, then in zip(counts(), before, strict=True)]
    assert max(differences) < 10
    assert sys.getallocatedblocks() - blocks < 1000


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "kernel": ({"tokens": 4}, RuntimeError, "has no kernel for tokens = 4"),
    "block_m": ({"block_m": 16}, ValueError, "block_m is 16"),
    "arguments": ({"quant_type": 4}, ValueError, "quant_type is 4"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_call_is_offered_with_its_kind(module: Any, kind: str) -> None:
    changes, _, text = REFUSED[kind]
    given = arguments(**changes)
    offered: list[tuple[Any, ...]] = []
    module._set_uncovered(lambda *call: offered.append(call))
    assert module.ck_moe_stage1(*given[:-1], is_shuffled=True) is None
    ((function, found, reason, args, keywords),) = offered
    assert (function, found) == ("ck_moe_stage1", kind)
    assert text in reason
    assert (args, keywords) == (tuple(given[:-1]), {"is_shuffled": True})


@pytest.mark.parametrize("kind", REFUSED)
def test_a_call_that_is_given_back_is_the_modules_own_error(module: Any, kind: str) -> None:
    changes, error, text = REFUSED[kind]
    module._set_uncovered(lambda *_: NotImplemented)
    with pytest.raises(error, match=text):
        module.ck_moe_stage1(*arguments(**changes))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_guard_raises_is_the_calls_end(module: Any, kind: str) -> None:
    def guard(*_: object) -> None:
        raise LookupError("nobody takes it")

    module._set_uncovered(guard)
    with pytest.raises(LookupError, match="nobody takes it"):
        module.ck_moe_stage1(*arguments(**REFUSED[kind][0]))


def test_an_unknown_name_is_offered_before_the_heuristic_decides(module: Any) -> None:
    given = arguments(kernel_name="of_next_month")
    module._set_uncovered(lambda _, kind, reason, *__: (kind, reason))
    kind, reason = module.ck_moe_stage1(*given)
    assert kind == "name"
    assert "'of_next_month' is not known" in reason
    module._set_uncovered(lambda *_: NotImplemented)
    with pytest.warns(RuntimeWarning, match="of_next_month"):
        assert module.ck_moe_stage1(*given) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("full"), KeyError("x")])
def test_what_is_no_refusal_is_offered_to_nobody(module: Any, error: BaseException) -> None:
    module._set_uncovered(lambda *_: pytest.fail("was asked"))
    with pytest.raises(type(error)):
        module.ck_moe_stage1(*arguments(out=Raises(error)))


def test_a_handler_may_be_replaced_while_it_runs(module: Any) -> None:
    alive: list[bool] = []

    def handle(*_: object) -> str:
        module._set_uncovered(None)
        alive.append(watch() is not None)
        return "first"

    watch = weakref.ref(hook := functools.partial(handle))
    module._set_uncovered(hook)
    del hook
    assert module.ck_moe_stage1(*arguments(tokens=4)) == "first"
    assert alive == [True]
    assert watch() is None
    with pytest.raises(RuntimeError, match="has no kernel"):
        module.ck_moe_stage1(*arguments(tokens=4))


def test_the_end_of_a_handler_meets_the_next_one(module: Any) -> None:
    seen: list[object] = []

    class Ending:
        def __call__(self, *_: object) -> str:
            return "old"

        def __del__(self) -> None:
            seen.append(module.ck_moe_stage1(*arguments(tokens=4)))

    module._set_uncovered(Ending())
    module._set_uncovered(lambda *_: "new")
    assert seen == ["new"]


def test_a_module_that_its_handler_holds_is_collected(built: Built) -> None:
    module = built.load()
    handler = functools.partial(lambda *_: None, module)
    module._set_uncovered(handler)
    watched = [weakref.ref(module), weakref.ref(handler)]
    del module, handler
    gc.collect()
    assert [watch() for watch in watched] == [None, None]


# ---- State ----


@pytest.mark.usefixtures("module")
def test_two_imports_of_one_file_share_nothing(built: Built) -> None:
    one, two = built.load(), built.load()
    one._set_uncovered(lambda *_: "one")
    two._set_uncovered(lambda *_: "two")
    answers = [each.ck_moe_stage1(*arguments(tokens=4)) for each in (one, two)]
    assert answers == ["one", "two"]
    two._set_uncovered(None)
    assert one.ck_moe_stage1(*arguments(tokens=4)) == "one"


INTERPRETERS = """
import ctypes, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
ctypes.CDLL({hip!r}, ctypes.RTLD_GLOBAL)
code = '''
import importlib.util
def load(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
driver = load("driver", {driver!r})
driver.install_torch(0x5000)
module = load({name!r}, {file!r})
given = [driver.value_of(value) for value in {given!r}]
module._set_uncovered(lambda *_: "handler of " + where)
print(module.ck_moe_stage1(*given), flush=True)
'''
main = {{"where": "main"}}
exec(code, main)
for name in ("one", "two"):
    inner = interpreters.create()
    failed = interpreters.run_string(inner, "where = " + repr(name) + code)
    assert failed is None, failed
    interpreters.destroy(inner)
print(main["module"].ck_moe_stage1(*main["given"]), flush=True)
"""


def _raw(value: object) -> object:
    """An argument as the driver reads it."""
    if not isinstance(value, driver.Tensor):
        return value
    dtype = str(value.dtype).removeprefix("torch.")
    return {"shape": value._shape, "dtype": dtype, "pointer": value.data_ptr(), "device": 0}


def test_each_interpreter_has_a_module_of_its_own(built: Built, hip: str) -> None:
    text = INTERPRETERS.format(
        driver=driver.__file__,
        name=built.planned.name,
        file=str(built.path),
        hip=hip,
        given=[_raw(value) for value in arguments(tokens=4)],
    )
    # Tensors without the exchange API: ctypes' callbacks know the main interpreter only.
    done = subprocess.run(
        [sys.executable, "-c", text], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = ["handler of main", "handler of one", "handler of two", "handler of main"]
    assert done.stdout.splitlines() == lines


# ---- Contracts ----


def test_a_second_contract_has_a_binding_of_its_own(second: Built, module: Any) -> None:
    other = second.load()
    expected = made_up().contract.signatures
    docs = {name: getattr(other, name).__doc__.splitlines()[0] for name in expected}
    assert docs == expected
    assert docs != {name: getattr(module, name).__doc__.splitlines()[0] for name in expected}
    given = arguments(quant_type=7)
    given[0], given[2] = given[2], given[0]  # its order
    assert other.ck_moe_stage1(*given, 5) is None
    assert other.ck_moe_stage1(*given, colour=5) is None
    assert second.probe.last_sorted_size() == 5000
    with pytest.raises(ValueError, match="quant_type is 3, expected 7"):
        other.ck_moe_stage1(*arguments())
    with pytest.raises(TypeError, match="takes at most 19 arguments"):
        module.ck_moe_stage1(*given, 5)


def test_defaults_are_the_contracts(second: Built, module: Any, built: Built) -> None:
    position = [p.argument for p in load_contracts()[0].function(1).parameters].index("block_m")
    given = arguments(sorted_token_ids=tensor("int32", 10**6))[:position]
    module.ck_moe_stage1(*given, quant_type=3)
    assert built.probe.last_sorted_size() == 64 * 8 * 32
    given[0], given[2] = given[2], given[0]
    second.load().ck_moe_stage1(*given, quant_type=7)
    assert second.probe.last_sorted_size() == 64 * 8 * 64
