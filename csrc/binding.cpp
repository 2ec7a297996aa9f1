// Every function here that CPython calls is `noexcept`, and so is all that it calls in turn, up to
// the launch (call.cpp), which turns what CK throws into a Python exception.
//
// What the GIL is held for: the whole call.  It guards the module's state and the objects that the
// arguments are borrowed from, and a handler of uncovered calls needs it.  The launch itself would
// not need it, but only puts work into a queue and returns; to give the GIL up and take it back
// costs more than it saves.  Without the GIL (free-threaded CPython) there is no stable ABI
// of 3.10, and the runtime side declines such an interpreter.
#include "binding.hpp"

#include "call.hpp"
#include "contract.hpp"
#include "module_table.hpp"
#include "registrar.hpp"
#include "state.hpp"

namespace aiter_prebuilt {

namespace {

PyObject* stage1(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) noexcept
{
    return run_stage(state_of(self), kStage1, {args, count, names});
}

PyObject* stage2(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) noexcept
{
    return run_stage(state_of(self), kStage2, {args, count, names});
}

PyObject* set_uncovered(PyObject* self, PyObject* callable) noexcept
{
    if(callable != Py_None && !PyCallable_Check(callable))
    {
        return PyErr_Format(PyExc_TypeError,
                            "_set_uncovered() argument is %R, expected a callable "
                            "or None",
                            callable);
    }
    Ref handler = callable == Py_None ? Ref() : Ref::to(callable);
    // The old one goes last, when the new one is in place: its end may run code that calls us.
    const Ref old(std::exchange(state_of(self).uncovered, handler.release()));
    Py_RETURN_NONE;
}

template <typename Function>
PyCFunction as_method(Function function) noexcept
{
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyMethodDef methods[] = {
    {kStage1Name, as_method(stage1), METH_FASTCALL | METH_KEYWORDS, kStage1Doc},
    {kStage2Name, as_method(stage2), METH_FASTCALL | METH_KEYWORDS, kStage2Doc},
    {"_set_uncovered", set_uncovered, METH_O,
     "_set_uncovered(callable)\n\nSet who is asked to take the calls that this module refuses."},
    {nullptr, nullptr, 0, nullptr}};

int execute(PyObject* module) noexcept
{
    if(!kernels_are_registered())
    {
        PyErr_NoMemory();
        return -1;
    }
    return init(state_of(module)) ? 0 : -1;
}

int traverse_module(PyObject* module, visitproc visit, void* argument) noexcept
{
    return traverse(state_of(module), visit, argument);
}

int clear_module(PyObject* module) noexcept
{
    clear(state_of(module));
    return 0;
}

void free_module(void* module) noexcept
{
    free(state_of(static_cast<PyObject*>(module)));
}

// Py_mod_multiple_interpreters is not among the slots: 3.10 and 3.11 refuse a module with a slot
// that they do not know.  What CPython takes without it is true: subinterpreters that share the GIL
// can have the module (each with a state of its own), those with a GIL of their own cannot; torch
// does not work in them either.
PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(execute)}, {0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, kModuleName,  "CK2stages MoE kernels, prebuilt.",
                          sizeof(State),         methods,      slots,
                          traverse_module,       clear_module, free_module};

} // namespace

PyObject* init_module() noexcept
{
    return PyModuleDef_Init(&definition);
}

} // namespace aiter_prebuilt
