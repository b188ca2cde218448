// What the text of a CUDA kernel expects to find, for a C++ compiler: so that it runs on a CPU, one thread at a time.
//
// Each CUDA thread runs until it comes to a barrier. There it waits: its stack is put aside (a "fiber"), and the next
// thread runs. When all have come, all go on, again one after the other. A kernel without barriers needs one fiber.
//
// Only headers of C: they compile in a tenth of a second, and nothing of C++ must be linked.
#pragma once
#ifdef __APPLE__  // hides swapcontext otherwise
#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE
#endif
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- What differs between systems: fibers, and the names of sections ----

const int STACK_BYTES = 65536;

#ifdef _WIN32  // its own header would define `near`, `far`, `small` and more, which a kernel may use as names
extern "C" {
__declspec(dllimport) void* __stdcall ConvertThreadToFiber(void*);
__declspec(dllimport) int __stdcall ConvertFiberToThread();
__declspec(dllimport) void* __stdcall CreateFiber(size_t, void(__stdcall*)(void*), void*);
__declspec(dllimport) void __stdcall DeleteFiber(void*);
__declspec(dllimport) void __stdcall SwitchToFiber(void*);
}
#define EXPORT extern "C" __declspec(dllexport)
typedef void* Context;

static void begin_fibers(Context& here) { here = ConvertThreadToFiber(nullptr); }
static void end_fibers() { ConvertFiberToThread(); }
static void switch_fibers(Context&, Context& to) { SwitchToFiber(to); }

template <void (*function)()>
static void __stdcall run_fiber(void*) { function(); }

// The fiber will run `function`, from its beginning, when it is switched to; the function must not return.
template <void (*function)()>
static void make_fiber(Context& fiber) {
    if (fiber) DeleteFiber(fiber);
    fiber = CreateFiber(STACK_BYTES, run_fiber<function>, nullptr);
}
#else
#include <ucontext.h>
#define EXPORT extern "C"
typedef ucontext_t Context;

static void begin_fibers(Context&) {}
static void end_fibers() {}
static void switch_fibers(Context& from, Context& to) { swapcontext(&from, &to); }

template <void (*function)()>
static void make_fiber(Context& fiber) {
    void* stack = fiber.uc_stack.ss_sp;
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack ? stack : malloc(STACK_BYTES);
    fiber.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber, function, 0);
}
#endif

// Shared variables lie side by side in one section, so that it can be filled with NaN before each block.
// (`extern __shared__` has been turned into a pointer to dynamic_shared by then: see __init__.py.)
#if defined(_WIN32)  // parts of a section are laid in the order of what follows the $
#define __shared__ static __attribute__((section("shared$m")))
__attribute__((section("shared$a"), used)) static char __start_shared_memory[16];
__attribute__((section("shared$z"), used)) static char __stop_shared_memory[16];
#elif defined(__APPLE__)
#define __shared__ static __attribute__((section("__DATA,shared_memory")))
extern char __start_shared_memory[] __asm("section$start$__DATA$shared_memory");
extern char __stop_shared_memory[] __asm("section$end$__DATA$shared_memory");
#else
#define __shared__ static __attribute__((section("shared_memory")))
extern char __start_shared_memory[] __attribute__((visibility("hidden")));  // both made by the linker
extern char __stop_shared_memory[] __attribute__((visibility("hidden")));
#endif

// ---- What a kernel can name ----

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };

#define __global__
#define __host__
#define __device__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

static dim3 gridDim, blockDim;
static uint3 blockIdx, threadIdx;
template <class T> static T max(T a, T b) { return a < b ? b : a; }
template <class T> static T min(T a, T b) { return b < a ? b : a; }

namespace emulator {

const int WARP = 32, MAX_THREADS = 1024, GUARD_BYTES = 4096;
const char POISON = (char)0xff;  // four of them are a NaN, and as an integer -1

__shared__ char nothing[16] __attribute__((used, retain));  // so that there is a section where no kernel has shared memory
static char lane_values[MAX_THREADS][16];           // what the threads of a warp show each other
static char* dynamic_shared;
static int dynamic_shared_bytes;  // without the guard behind it

struct Barrier {
    int arrived, line;
    long openings;
};
static Barrier block_barrier, warp_barriers[MAX_THREADS / WARP];

struct Fiber {
    Context context;
    int thread;               // the one that it runs
    const Barrier* waits_at;  // nullptr: its threads have ended
    long openings;            // of that barrier when it came there
};
static Fiber fibers[MAX_THREADS];
static Fiber* current;
static Context scheduler;

static void (*kernel)();  // calls the kernel with these arguments:
static void** arguments;
static int order[MAX_THREADS];  // in which the threads of a block run
static int threads;             // of a block
static int begun;               // how many of them have begun
static char problem[400];       // the first thing that went wrong

static void report(const char* format, ...) {
    if (problem[0]) return;
    va_list values;
    va_start(values, format);
    vsnprintf(problem, sizeof problem, format, values);
    va_end(values);
}

static const char* place() {
    static char text[80];
    snprintf(text, sizeof text, "in block (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
    return text;
}

static uint3 position(unsigned index, dim3 size) {
    return {index % size.x, index / size.x % size.y, index / (size.x * size.y)};
}

// What a fiber does: run threads from the first that has not begun, until there is none. A barrier may stop it for a
// while.
static void run_threads() {
    while (begun < threads) {
        current->thread = order[begun++];
        threadIdx = position(current->thread, blockDim);
        kernel();
    }
    current->waits_at = nullptr;
    switch_fibers(current->context, scheduler);
}

static void resume(Fiber& fiber) {
    current = &fiber;
    threadIdx = position(fiber.thread, blockDim);
    switch_fibers(scheduler, fiber.context);
}

static void wait(Barrier& barrier, int expected, int line) {
    if (barrier.arrived == 0) barrier.line = line;
    if (barrier.line != line)
        report("threads wait at two different barriers %s, of lines %d and %d; all threads must come to the same one",
               place(), barrier.line, line);
    current->waits_at = &barrier;
    current->openings = barrier.openings;
    if (++barrier.arrived == expected) {
        barrier.arrived = 0;
        ++barrier.openings;
    }
    switch_fibers(current->context, scheduler);
}

static void clear_block() {
    memset(__start_shared_memory, POISON, __stop_shared_memory - __start_shared_memory);
    memset(dynamic_shared, POISON, dynamic_shared_bytes + GUARD_BYTES);
    memset(lane_values, POISON, sizeof lane_values);
    block_barrier = {};
    for (Barrier& barrier : warp_barriers) barrier = {};
    begun = 0;
}

static void run_block() {
    clear_block();
    int used = 0;
    while (begun < threads) {
        make_fiber<run_threads>(fibers[used].context);
        resume(fibers[used++]);
    }
    bool waiting = true;
    while (waiting && !problem[0]) {
        const Barrier* shut = nullptr;
        bool moved = false;
        waiting = false;
        for (Fiber* fiber = fibers; fiber < fibers + used; ++fiber) {
            if (!fiber->waits_at) continue;
            waiting = true;
            if (fiber->waits_at->openings > fiber->openings) {
                moved = true;
                resume(*fiber);
            } else
                shut = fiber->waits_at;
        }
        if (waiting && !moved)
            report("deadlock %s: only %d threads come to the barrier of line %d; all must, so it may not stand after "
                   "a return or inside an if that only some threads take", place(), shut->arrived, shut->line);
    }
    for (int i = dynamic_shared_bytes; i < dynamic_shared_bytes + GUARD_BYTES; ++i)
        if (dynamic_shared[i] != POISON)
            report("a thread wrote past the end of the dynamic shared memory %s; ask for more bytes with shared_mem, "
                   "or check the index", place());
}

// 0: ascending, 1: descending, 2: shuffled, always in the same way.
static void fill_order(int* numbers, int count, int kind) {
    for (int i = 0; i < count; ++i) numbers[i] = kind == 1 ? count - 1 - i : i;
    unsigned random = 1;
    for (int i = count - 1; kind == 2 && i > 0; --i) {
        random = random * 1664525u + 1013904223u;
        int other = (random >> 8) % (i + 1), kept = numbers[i];
        numbers[i] = numbers[other];
        numbers[other] = kept;
    }
}

// Runs a kernel on a grid; returns what went wrong, or "".
static const char* launch(void (*call)(), void** args, const unsigned* grid, const unsigned* block, int order_kind,
                          int shared_bytes) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    threads = blockDim.x * blockDim.y * blockDim.z;
    fill_order(order, threads, order_kind);
    dynamic_shared_bytes = shared_bytes;
    dynamic_shared = (char*)realloc(dynamic_shared, shared_bytes + GUARD_BYTES);
    kernel = call;
    arguments = args;
    problem[0] = 0;
    int blocks = gridDim.x * gridDim.y * gridDim.z, *block_order = (int*)malloc(blocks * sizeof(int));
    fill_order(block_order, blocks, order_kind);
    begin_fibers(scheduler);
    for (int i = 0; i < blocks && !problem[0]; ++i) {
        blockIdx = position(block_order[i], gridDim);
        run_block();
    }
    end_fibers();
    free(block_order);
    return problem;
}

// How many threads of the caller's warp a barrier with this mask waits for.
static int lanes_in(unsigned mask) {
    int first = current->thread / WARP * WARP, lanes = 0;
    for (int lane = 0; lane < min(WARP, threads - first); ++lane) lanes += mask >> lane & 1;
    return lanes;
}

static int lane() { return current->thread % WARP; }

static void wait_for_warp(unsigned mask, int line) {
    wait(warp_barriers[current->thread / WARP], lanes_in(mask), line);
}

// The value that lane `source` gives; beyond the ends of the warp one's own, as on a GPU.
template <class T>
static T shuffle(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    if (source < 0 || source >= WARP) source = lane();
    memcpy(lane_values[current->thread], &value, sizeof value);
    wait_for_warp(mask, line);
    memcpy(&value, lane_values[current->thread - lane() + source], sizeof value);
    wait_for_warp(mask, line);
    return value;
}

}  // namespace emulator

#define __syncthreads() emulator::wait(emulator::block_barrier, emulator::threads, __LINE__)
#define __syncwarp() emulator::wait_for_warp(~0u, __LINE__)
#define __shfl_sync(mask, value, source) emulator::shuffle(mask, value, (source) & 31, __LINE__)
#define __shfl_up_sync(mask, value, by) emulator::shuffle(mask, value, emulator::lane() - (int)(by), __LINE__)
#define __shfl_down_sync(mask, value, by) emulator::shuffle(mask, value, emulator::lane() + (int)(by), __LINE__)
#define __shfl_xor_sync(mask, value, bits) emulator::shuffle(mask, value, emulator::lane() ^ (int)(bits), __LINE__)

// Makes a kernel callable from Python; its arguments come as an array of pointers to them, as CUDA's launch takes them.
#define EXPORT_KERNEL(name, ...)                                                                              \
    static void call_##name() {                                                                               \
        void** args = emulator::arguments;                                                                    \
        name(__VA_ARGS__);                                                                                    \
    }                                                                                                         \
    EXPORT const char* run_##name(void** args, const unsigned* grid, const unsigned* block, int order,        \
                                  int shared_bytes) {                                                         \
        return emulator::launch(call_##name, args, grid, block, order, shared_bytes);                         \
    }

// Threads run one at a time, so that plain code is atomic.
template <class T, class V> static T atomicAdd(T* p, V value) { T old = *p; *p = old + value; return old; }
template <class T, class V> static T atomicMax(T* p, V value) { T old = *p; *p = max<T>(old, value); return old; }
template <class T, class V> static T atomicMin(T* p, V value) { T old = *p; *p = min<T>(old, value); return old; }
template <class T, class V> static T atomicExch(T* p, V value) { T old = *p; *p = value; return old; }
template <class T> static T atomicCAS(T* p, T expected, T value) { T old = *p; if (old == expected) *p = value; return old; }

#define __expf expf  // a GPU's is faster and less exact
#define __logf logf
#define rsqrtf one_over_root  // a name of its own, since glibc has an rsqrtf from 2.42 on
static inline float one_over_root(float x) { return 1.0f / sqrtf(x); }
static inline float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
template <class T> static T __ldg(const T* p) { return *p; }
