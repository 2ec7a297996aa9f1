/* A module that answers every call with its own name and where it came from. */
#define Py_LIMITED_API 0x030a0000
#include <Python.h>
#include <string.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#ifdef JIT
#define ORIGIN "jit:"
#else
#define ORIGIN "prebuilt:"
#endif

#ifdef JIT
static int hipRuntimeGetVersion(int *version) { return *version = 0; }
#else
extern int hipRuntimeGetVersion(int *);
#endif

__asm__(".section .hip_fatbin, \"a\", @progbits\n"
        ".balign 4096\n"
        ".globl fixture_fatbin\n.hidden fixture_fatbin\n"
        "fixture_fatbin:\n"
        ".incbin \"" BUNDLE "\"\n"
        ".previous\n");
extern const char fixture_fatbin[] __attribute__((visibility("hidden")));
const void *volatile fixture_keep = fixture_fatbin;

static PyObject *uncovered;

#ifndef JIT
static long number(PyObject *args, Py_ssize_t position)
{
    PyObject *value = PyTuple_Size(args) > position ? PyTuple_GetItem(args, position) : NULL;
    return value != NULL && PyLong_Check(value) ? PyLong_AsLong(value) : 0;
}

/* What the fixture refuses: reduced, every call with topk (the 8th argument) of 99 or more; as
   AITER's whole module of known sources, block_m (the 12th) 16.  Its heuristic takes a call with an
   unknown kernelName (the 9th) that begins with "unknown". */
static const char *refusal(PyObject *args, const char **kind)
{
#ifdef REDUCED
    if (number(args, 7) >= 99) {
        *kind = "instance";
        return "topk is 99 or more";
    }
#endif
    PyObject *name = PyTuple_Size(args) > 8 ? PyTuple_GetItem(args, 8) : Py_None;
    if (number(args, 11) == 16) {
        *kind = "block_m";
        return "block_m is 16";
    }
    if (PyUnicode_Check(name) &&
        strncmp(PyUnicode_AsUTF8AndSize(name, NULL), "unknown", 7) == 0) {
        *kind = "name";
        return "kernelName is unknown";
    }
    return NULL;
}
#endif

static PyObject *answer(const char *function, PyObject *args, PyObject *kwargs)
{
#ifndef JIT
    const char *kind = "", *reason = refusal(args, &kind);
    if (reason != NULL && uncovered != NULL && uncovered != Py_None) {
        PyObject *taken = PyObject_CallFunction(uncovered, "sssOO", function, kind, reason, args,
                                                kwargs ? kwargs : Py_None);
        if (taken != Py_NotImplemented) {
            return taken;
        }
    }
    if (reason != NULL && kind[0] != 'n') {
        PyErr_SetString(PyExc_RuntimeError, reason);
        return NULL;
    }
#endif
    int version = 0;
    hipRuntimeGetVersion(&version);
    return PyUnicode_FromFormat(ORIGIN STRING(NAME) ":%s:%d", function, version);
}

static PyObject *stage1(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return answer("ck_moe_stage1", args, kwargs);
}

static PyObject *stage2(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return answer("ck_moe_stage2", args, kwargs);
}

static PyObject *set_uncovered(PyObject *self, PyObject *value)
{
    Py_INCREF(value);
    Py_XDECREF(uncovered);
    uncovered = value;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"ck_moe_stage1", (PyCFunction)(void (*)(void))stage1, METH_VARARGS | METH_KEYWORDS,
     DOC_ck_moe_stage1},
    {"ck_moe_stage2", (PyCFunction)(void (*)(void))stage2, METH_VARARGS | METH_KEYWORDS,
     DOC_ck_moe_stage2},
#ifndef NO_GUARD
    {"_set_uncovered", set_uncovered, METH_O, "Set what takes uncovered calls."},
#endif
    {NULL, NULL, 0, NULL}};

static int execute(PyObject *module)
{
#ifdef FAIL_EXEC
    PyErr_SetString(PyExc_RuntimeError, "the module's start failed");
    return -1;
#endif
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, STRING(NAME), NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC JOIN(PyInit_, NAME)(void) { return PyModuleDef_Init(&definition); }
