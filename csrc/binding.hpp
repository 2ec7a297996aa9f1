// The Python module: its definition is completed by the generated PyInit_<name>.
#pragma once

#include "python.hpp"

namespace aiter_prebuilt {

// What PyInit returns: the module's definition (multi-phase initialisation, PEP 489).
PyObject* init_module() noexcept;

} // namespace aiter_prebuilt
