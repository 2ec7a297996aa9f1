// Makes the module's code objects known to the HIP runtime, in the form in which clang's own
// start-up code does it (__hipRegisterFatBinary), so that the runtime loads each one on first use
// and on each device.  The table is written by the build (prebuild.link.embed).
#pragma once

#include <cstddef>

namespace aiter_prebuilt {

struct EmbeddedKernel
{
    const void* bundle; // clang offload bundle with one code object
    const void* handle; // what hipLaunchKernel is called with
    const char* symbol; // the kernel's name in the code object
};

extern "C" const EmbeddedKernel aiter_prebuilt_kernels[];
extern "C" const std::size_t aiter_prebuilt_kernel_count;

// Whether the file's start could register its kernels; false where it had no memory for it.
bool kernels_are_registered() noexcept;

} // namespace aiter_prebuilt
