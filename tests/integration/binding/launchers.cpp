// Launchers without kernels: what they do is chosen by the number of tokens (test_binding.py).
#include <new>
#include <stdexcept>

#include "problem.hpp"
#include "python.hpp"
#include "registrar.hpp"

#define VISIBLE __attribute__((visibility("default")))

namespace aiter_prebuilt {
extern "C" const EmbeddedKernel aiter_prebuilt_kernels[1] = {};
extern "C" const std::size_t aiter_prebuilt_kernel_count  = 0;
} // namespace aiter_prebuilt

namespace {

aiter_prebuilt::Problem last;

} // namespace

extern "C"
{

    aiter_prebuilt::LaunchResult fake_launch(const aiter_prebuilt::Problem& problem)
    {
        using aiter_prebuilt::Outcome;
        last = problem;
        switch(problem.tokens)
        {
        case 1:
            throw std::runtime_error("CK says no");
        case 2:
            throw std::bad_alloc();
        case 3:
            throw 7;
        case 4:
            return {Outcome::kNoKernel, hipSuccess};
        default:
            return {Outcome::kLaunched, hipSuccess};
        }
    }

    VISIBLE const void* last_stream()
    {
        return last.stream;
    }

    VISIBLE int last_sorted_size()
    {
        return last.sorted_size;
    }

    VISIBLE int last_split_k()
    {
        return last.split_k;
    }

    // What an exchange API can do instead of its work.
    VISIBLE int raise_interrupt(void*, void*)
    {
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return -1;
    }

    VISIBLE int raise_memory(void*, void*)
    {
        PyErr_NoMemory();
        return -1;
    }

    VISIBLE int raise_buffer(void*, void*)
    {
        PyErr_SetString(PyExc_BufferError, "not this way");
        return -1;
    }

    VISIBLE int raise_stream_buffer(int, int, void**)
    {
        PyErr_SetString(PyExc_BufferError, "no stream this way");
        return -1;
    }
}
