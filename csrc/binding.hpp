// The Python module: its definition is completed by the generated PyInit_<name>.
#pragma once

#include "tensor.hpp"

namespace aiter_prebuilt {

// Creates the module object (multi-phase initialisation, PEP 489).
PyObject* init_module();

} // namespace aiter_prebuilt
