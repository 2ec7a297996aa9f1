/* Tensors of a torch for CPUs that claim to lie on a GPU: torch's own exchange API with the device
   replaced, and torch's private stream function, which such a torch does not have. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

typedef struct
{
    void* data;
    int32_t device_type, device;
    int32_t ndim;
    uint32_t dtype;
    int64_t *shape, *strides;
    uint64_t offset;
} tensor;

typedef struct
{
    uint32_t major, minor;
    void* others[4];
    int (*tensor_from_object)(void*, tensor*);
    int (*current_work_stream)(int32_t, int32_t, void**);
} table;

enum
{
    ROCM = 10
};

static table claimed;
static int (*original)(void*, tensor*);

static int claim(void* object, tensor* out)
{
    const int failed = original(object, out);
    out->device_type = ROCM;
    out->device      = 0;
    return failed;
}

static int stream(int32_t type, int32_t device, void** out)
{
    *out = (void*)0x5000;
    return type == ROCM && device == 0 ? 0 : -1;
}

static PyObject* wrap(PyObject* self, PyObject* capsule)
{
    const table* api = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    (void)self;
    if(api == NULL)
    {
        return NULL;
    }
    claimed                     = *api;
    original                    = api->tensor_from_object;
    claimed.tensor_from_object  = claim;
    claimed.current_work_stream = stream;
    return PyCapsule_New(&claimed, "dlpack_exchange_api", NULL);
}

static PyObject* raw_stream(PyObject* self, PyObject* device)
{
    const long index = PyLong_AsLong(device);
    (void)self;
    return index == -1 && PyErr_Occurred() ? NULL : PyLong_FromVoidPtr((void*)(0x5000 + index));
}

static PyMethodDef methods[] = {
    {"wrap", wrap, METH_O, NULL}, {"raw_stream", raw_stream, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "claim", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_claim(void)
{
    return PyModuleDef_Init(&definition);
}
