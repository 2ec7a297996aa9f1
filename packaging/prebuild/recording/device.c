/* The memory, streams and graphs of the stand-in: host memory, and launches that run at once or are
   kept in a graph.  What "a kernel" does is scripted: each line of $HIP_RECORD_EFFECTS is
   "SYMBOL POINTER AT HEX"; a launch of SYMBOL writes the bytes to the address that stands POINTER
   bytes into its arguments, plus AT. */
#include "runtime.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct node
{
    char* symbol;
    unsigned char* arguments;
    struct node* next;
} node;

/* A stream is the list of what was captured on it, oldest last; only one captures at a time. */
typedef struct
{
    node* captured;
} list;

static list* capturing;
static void* capturing_stream;

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void write_hex(unsigned char* target, const char* hex)
{
    for(; hex[0] > ' ' && hex[1] > ' '; hex += 2)
    {
        *target++ = (unsigned char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
    }
}

static void apply(char* line, const char* symbol, const unsigned char* arguments)
{
    const char* name    = strtok(line, " ");
    const char* pointer = strtok(NULL, " ");
    const char* at      = strtok(NULL, " ");
    const char* hex     = strtok(NULL, " \n");
    unsigned char* target;
    if(hex != NULL && strcmp(name, symbol) == 0)
    {
        memcpy(&target, arguments + atoi(pointer), sizeof target);
        write_hex(target + atoi(at), hex);
    }
}

static void execute(const char* symbol, const unsigned char* arguments)
{
    const char* path = getenv("HIP_RECORD_EFFECTS");
    FILE* file       = path ? fopen(path, "r") : NULL;
    char* line       = NULL;
    size_t size      = 0;
    while(file != NULL && getline(&line, &size, file) > 0)
    {
        apply(line, symbol, arguments);
    }
    free(line);
    if(file != NULL)
    {
        fclose(file);
    }
}

void run_or_capture(const char* symbol, const void* arguments, void* stream)
{
    if(capturing == NULL || stream != capturing_stream)
    {
        execute(symbol, arguments);
        return;
    }
    const size_t size   = (size_t)number_of("HIP_RECORD_ARGUMENT_BYTES", 0);
    node* made          = malloc(sizeof *made);
    made->symbol        = strdup(symbol);
    made->arguments     = memcpy(malloc(size), arguments, size);
    made->next          = capturing->captured;
    capturing->captured = made;
}

int hipGetDeviceCount(int* count)
{
    *count = number_of("HIP_RECORD_DEVICES", 8);
    return *count > 0 ? 0 : 100; /* hipErrorNoDevice */
}

int hipGetDevicePropertiesR0600(char* properties, int device)
{
    const char* arch = getenv("HIP_RECORD_ARCH");
    (void)device;
    memset(properties, 0, 1472);
    strcpy(properties, "recorder");
    *(uint64_t*)(properties + 288) = (uint64_t)number_of("HIP_RECORD_MEMORY_MB", 1 << 16) << 20;
    strcpy(properties + 1160, arch ? arch : "gfx950:sramecc+:xnack-");
    return 0;
}

int hipRuntimeGetVersion(int* version)
{
    *version = 70200000;
    return 0;
}

int hipDriverGetVersion(int* version)
{
    *version = 70200000;
    return 0;
}

int hipMalloc(void** pointer, size_t size)
{
    *pointer = malloc(size);
    return *pointer ? 0 : 2; /* hipErrorOutOfMemory */
}

int hipFree(void* pointer)
{
    free(pointer);
    return 0;
}

int hipMemcpy(void* target, const void* source, size_t size, int kind)
{
    (void)kind;
    memcpy(target, source, size);
    return 0;
}

int hipDeviceSynchronize(void)
{
    return number_of("HIP_RECORD_SYNC_FAIL", 0);
}

int hipStreamCreateWithFlags(void** stream, unsigned flags)
{
    (void)flags;
    *stream = calloc(1, sizeof(list));
    return 0;
}

int hipStreamDestroy(void* stream)
{
    free(stream);
    return 0;
}

int hipStreamBeginCapture(void* stream, int mode)
{
    (void)mode;
    /* A capture that is ignored: what is launched runs at once, as on a wrong stream. */
    capturing        = number_of("HIP_RECORD_NO_CAPTURE", 0) ? NULL : calloc(1, sizeof *capturing);
    capturing_stream = stream;
    return 0;
}

int hipStreamEndCapture(void* stream, void** graph)
{
    (void)stream;
    *graph    = capturing ? capturing : calloc(1, sizeof *capturing);
    capturing = NULL;
    return 0;
}

int hipGraphInstantiate(void** ready, void* graph, void* node_of_error, char* log, size_t size)
{
    (void)node_of_error, (void)log, (void)size;
    *ready = graph;
    return 0;
}

int hipGraphLaunch(void* ready, void* stream)
{
    (void)stream;
    for(const node* one = ((const list*)ready)->captured; one != NULL; one = one->next)
    {
        execute(one->symbol, one->arguments);
    }
    return 0;
}

int hipGraphExecDestroy(void* ready)
{
    (void)ready;
    return 0;
}

int hipGraphDestroy(void* graph)
{
    for(node* one = ((list*)graph)->captured; one != NULL;)
    {
        node* next = one->next;
        free(one->symbol);
        free(one->arguments);
        free(one);
        one = next;
    }
    free(graph);
    return 0;
}

/* Time is counted: each record is a millisecond after the one before. */
int hipEventCreate(void** event)
{
    *event = calloc(1, sizeof(float));
    return 0;
}

int hipEventRecord(void* event, void* stream)
{
    static float now;
    (void)stream;
    now += 1.0F;
    *(float*)event = now;
    return 0;
}

int hipEventSynchronize(void* event)
{
    (void)event;
    return 0;
}

int hipEventElapsedTime(float* milliseconds, const void* first, const void* last)
{
    *milliseconds = *(const float*)last - *(const float*)first;
    return 0;
}

int hipEventDestroy(void* event)
{
    free(event);
    return 0;
}
