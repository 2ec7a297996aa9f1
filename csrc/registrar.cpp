#include "registrar.hpp"

#include <hip/hip_runtime_api.h>

#include <memory>
#include <new>

// The compiler-to-runtime interface of HIP; declared here because no public header does.  Source:
// clang, lib/CodeGen/CGCUDANV.cpp and LLVM's offload wrapper; ROCm/clr,
// hipamd/src/hip_platform.cpp.
extern "C" void** __hipRegisterFatBinary(const void* wrapper);
extern "C" void __hipUnregisterFatBinary(void** handle);
extern "C" void __hipRegisterFunction(void** fat_binary, const void* handle, char* device_name,
                                      const char* name, unsigned thread_limit, void* thread_id,
                                      void* block_id, dim3* block, dim3* grid, int* warp_size);

namespace aiter_prebuilt {

namespace {

constexpr unsigned kMagic   = 0x48495046; // "HIPF"
constexpr unsigned kVersion = 1;

struct FatBinaryWrapper
{
    unsigned magic;
    unsigned version;
    const void* binary;
    const void* unused;
};
static_assert(sizeof(FatBinaryWrapper) == 24, "the runtime reads this layout");

// A module holds at most a few hundred kernels; the registration handles live as long as it does.
// It runs in the dynamic linker, through which no exception may pass.
class Registration
{
public:
    Registration() noexcept
        : handles_(new(std::nothrow) void**[aiter_prebuilt_kernel_count]),
          wrappers_(new(std::nothrow) FatBinaryWrapper[aiter_prebuilt_kernel_count])
    {
        for(std::size_t i = 0; complete() && i < aiter_prebuilt_kernel_count; ++i)
        {
            add(i, aiter_prebuilt_kernels[i]);
        }
    }

    ~Registration()
    {
        for(std::size_t i = 0; complete() && i < aiter_prebuilt_kernel_count; ++i)
        {
            __hipUnregisterFatBinary(handles_[i]);
        }
    }

    Registration(const Registration&)            = delete;
    Registration& operator=(const Registration&) = delete;

    bool complete() const noexcept { return handles_ != nullptr && wrappers_ != nullptr; }

private:
    void add(std::size_t i, const EmbeddedKernel& kernel) noexcept
    {
        wrappers_[i] = {kMagic, kVersion, kernel.bundle, nullptr};
        handles_[i]  = __hipRegisterFatBinary(&wrappers_[i]);
        char* symbol = const_cast<char*>(kernel.symbol); // the runtime only reads it
        __hipRegisterFunction(handles_[i], kernel.handle, symbol, symbol, ~0U, nullptr, nullptr,
                              nullptr, nullptr, nullptr);
    }

    std::unique_ptr<void**[]> handles_;
    std::unique_ptr<FatBinaryWrapper[]> wrappers_;
};

// One for the file, not for a module object: HIP knows kernels by process.
const Registration registration;

} // namespace

bool kernels_are_registered() noexcept
{
    return registration.complete();
}

} // namespace aiter_prebuilt
