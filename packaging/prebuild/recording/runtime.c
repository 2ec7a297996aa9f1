/* A recording stand-in for libamdhip64.so.7: launches are appended to $HIP_RECORD_FILE, one line of
   JSON each, with as many argument bytes as the kernel's code object says it takes. */
#include "runtime.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
    uint32_t x, y, z;
} dim3;

typedef struct
{
    const void* handle;
    const char* symbol;
    const void* bundle;
} kernel;

enum
{
    MAX_KERNELS = 4096
};

static kernel kernels[MAX_KERNELS];
static size_t kernel_count;
static int current_device;

/* What was set to a value since the last launch. */
static struct
{
    const void* pointer;
    size_t bytes;
    int value;
} cleared;

int number_of(const char* name, int otherwise)
{
    const char* text = getenv(name);
    return text ? atoi(text) : otherwise;
}

/* What the environment asks for, read once: a launch that nobody records has to cost next to
   nothing (benchmarks/call). */
static const char* record_path;
static int record_bytes, failure, device_count;

__attribute__((constructor)) static void read_environment(void)
{
    record_path  = getenv("HIP_RECORD_FILE");
    record_bytes = number_of("HIP_RECORD_ARGUMENT_BYTES", 0);
    failure      = number_of("HIP_RECORD_FAIL", 0);
    device_count = number_of("HIP_RECORD_DEVICES", 8);
}

void** __hipRegisterFatBinary(const void* wrapper)
{
    const uint32_t* words = wrapper;
    void** handle         = malloc(sizeof(void*));
    if(words[0] != 0x48495046 || words[1] != 1 || handle == NULL)
    {
        abort(); /* the module's registrar does not follow the interface */
    }
    memcpy(handle, (const char*)wrapper + 8, sizeof(void*));
    return handle;
}

void __hipUnregisterFatBinary(void** handle)
{
    free(handle);
}

void __hipRegisterFunction(void** binary, const void* handle, char* device_name, const char* name,
                           unsigned limit, void* tid, void* bid, dim3* block, dim3* grid,
                           int* wsize)
{
    (void)name, (void)limit, (void)tid, (void)bid, (void)block, (void)grid, (void)wsize;
    if(kernel_count == MAX_KERNELS)
    {
        abort();
    }
    kernels[kernel_count++] = (kernel){handle, device_name, *binary};
}

static const kernel* find(const void* handle)
{
    for(size_t i = 0; i < kernel_count; ++i)
    {
        if(kernels[i].handle == handle)
        {
            return &kernels[i];
        }
    }
    return NULL;
}

int hipLaunchKernel(const void* handle, dim3 grid, dim3 block, void** arguments, size_t shared,
                    void* stream)
{
    const kernel* found = find(handle);
    if(found == NULL)
    {
        return 98; /* hipErrorInvalidDeviceFunction */
    }
    FILE* file = record_path ? fopen(record_path, "a") : NULL;
    if(file != NULL)
    {
        fprintf(file, "{\"symbol\": \"%s\", \"grid\": [%u, %u, %u], \"block\": [%u, %u, %u], ",
                found->symbol, grid.x, grid.y, grid.z, block.x, block.y, block.z);
        fprintf(file, "\"cleared\": [%llu, %zu, %d], ",
                (unsigned long long)(uintptr_t)cleared.pointer, cleared.bytes, cleared.value);
        memset(&cleared, 0, sizeof cleared);
        fprintf(file, "\"shared\": %zu, \"stream\": %llu, \"device\": %d, \"arguments\": \"",
                shared, (unsigned long long)(uintptr_t)stream, current_device);
        for(int i = 0; i < record_bytes; ++i)
        {
            fprintf(file, "%02x", ((const unsigned char*)arguments[0])[i]);
        }
        fprintf(file, "\"}\n");
        fclose(file);
    }
    if(failure == 0)
    {
        run_or_capture(found->symbol, arguments[0], stream);
    }
    return failure;
}

int hipMemsetAsync(void* pointer, int value, size_t bytes, void* stream)
{
    (void)stream;
    cleared.pointer = pointer;
    cleared.bytes   = bytes;
    cleared.value   = value;
    return failure;
}

int hipGetDevice(int* device)
{
    *device = current_device;
    return 0;
}

int hipSetDevice(int device)
{
    current_device = device;
    return device < device_count ? 0 : 101; /* hipErrorInvalidDevice */
}

const char* hipGetErrorString(int error)
{
    return error == 0 ? "no error" : "recorded failure";
}
