// What the text of a CUDA kernel expects to find, for g++: so that it runs on a CPU, one thread at a time.
//
// Each CUDA thread runs until it comes to a barrier. There it waits: its stack is put aside (a "fiber"), and the next
// thread runs. When all have come, all go on, again one after the other. A kernel without barriers needs one fiber.
#pragma once
#include <math.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };

#define __global__
#define __host__
#define __device__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
// Shared variables lie side by side in one part of memory, so that it can be filled with NaN before each block.
// (`extern __shared__` has been turned into a pointer to dynamic_shared by then: see __init__.py.)
#define __shared__ static __attribute__((section("shared_memory")))
extern char __start_shared_memory[] __attribute__((visibility("hidden")));  // both made by the linker
extern char __stop_shared_memory[] __attribute__((visibility("hidden")));

static dim3 gridDim, blockDim;
static uint3 blockIdx, threadIdx;
using std::max;
using std::min;

namespace emulator {

const int WARP = 32, MAX_THREADS = 1024, STACK_BYTES = 65536, GUARD_BYTES = 4096;
const char POISON = (char)0xff;  // four of them are a NaN, and as an integer -1

__shared__ char lane_values[MAX_THREADS][16] __attribute__((used));  // what the threads of a warp show each other
static std::vector<char> dynamic_shared_memory;
static char* dynamic_shared;

struct Barrier {
    int arrived = 0, line = 0;
    long openings = 0;
};
static Barrier block_barrier, warp_barriers[MAX_THREADS / WARP];

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    int thread;                 // the one that it runs
    const Barrier* waits_at;    // nullptr: its threads have ended
    long openings;              // of that barrier when it came there
};
static std::deque<Fiber> fibers;  // kept from block to block
static Fiber* current;
static ucontext_t scheduler;

static void (*kernel)();          // calls the kernel with these arguments:
static void** arguments;
static std::vector<int> order;  // in which the threads of a block run
static size_t begun;            // how many of them have begun
static std::string problem;     // the first thing that went wrong

static std::string place() {
    return " in block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " +
           std::to_string(blockIdx.z) + ")";
}

static uint3 position(unsigned index, dim3 size) {
    return {index % size.x, index / size.x % size.y, index / (size.x * size.y)};
}

// Runs threads from the first that has not begun, until there is none. A barrier may stop it for a while.
static void run_threads() {
    while (begun < order.size()) {
        current->thread = order[begun++];
        threadIdx = position(current->thread, blockDim);
        kernel();
    }
    current->waits_at = nullptr;
}

static void resume(Fiber& fiber) {
    current = &fiber;
    threadIdx = position(fiber.thread, blockDim);
    swapcontext(&scheduler, &fiber.context);
}

static void wait(Barrier& barrier, int threads, int line) {
    if (barrier.arrived == 0) barrier.line = line;
    if (barrier.line != line && problem.empty())
        problem = "threads wait at two different barriers" + place() + ", of lines " + std::to_string(barrier.line) +
                  " and " + std::to_string(line) + "; all threads must come to the same one";
    current->waits_at = &barrier;
    current->openings = barrier.openings;
    if (++barrier.arrived == threads) {
        barrier.arrived = 0;
        ++barrier.openings;
    }
    swapcontext(&current->context, &scheduler);
}

static void run_block() {
    memset(__start_shared_memory, POISON, __stop_shared_memory - __start_shared_memory);
    std::fill(dynamic_shared_memory.begin(), dynamic_shared_memory.end(), POISON);
    block_barrier = {};
    for (Barrier& barrier : warp_barriers) barrier = {};
    begun = 0;
    size_t used = 0;
    while (begun < order.size()) {
        if (used == fibers.size()) fibers.emplace_back();
        Fiber& fiber = fibers[used++];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = &scheduler;  // where it goes when run_threads returns
        makecontext(&fiber.context, run_threads, 0);
        resume(fiber);
    }
    bool waiting = true;
    while (waiting && problem.empty()) {
        const Barrier* shut = nullptr;
        bool moved = false;
        waiting = false;
        for (size_t i = 0; i < used; ++i) {
            if (!fibers[i].waits_at) continue;
            waiting = true;
            if (fibers[i].waits_at->openings > fibers[i].openings) {
                moved = true;
                resume(fibers[i]);
            } else
                shut = fibers[i].waits_at;
        }
        if (waiting && !moved)
            problem = "deadlock" + place() + ": only " + std::to_string(shut->arrived) +
                      " threads come to the barrier of line " + std::to_string(shut->line) +
                      "; all must, so it may not stand after a return or inside an if that only some threads take";
    }
    for (size_t i = dynamic_shared_memory.size() - GUARD_BYTES; i < dynamic_shared_memory.size(); ++i)
        if (dynamic_shared_memory[i] != POISON && problem.empty())
            problem = "a thread wrote past the end of the dynamic shared memory" + place() +
                      "; ask for more bytes with shared_mem, or check the index";
}

// 0: ascending, 1: descending, 2: shuffled, always in the same way.
static std::vector<int> make_order(int count, int kind) {
    std::vector<int> numbers(count);
    for (int i = 0; i < count; ++i) numbers[i] = kind == 1 ? count - 1 - i : i;
    unsigned random = 1;
    for (int i = count - 1; kind == 2 && i > 0; --i) {
        random = random * 1664525u + 1013904223u;
        std::swap(numbers[i], numbers[(random >> 8) % (i + 1)]);
    }
    return numbers;
}

// Runs a kernel on a grid; returns what went wrong, or "".
static const char* launch(void (*call)(), void** args, const unsigned* grid, const unsigned* block, int order_kind,
                          int shared_bytes) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    order = make_order(blockDim.x * blockDim.y * blockDim.z, order_kind);
    dynamic_shared_memory.resize(shared_bytes + GUARD_BYTES);
    dynamic_shared = dynamic_shared_memory.data();
    kernel = call;
    arguments = args;
    problem.clear();
    for (int index : make_order(gridDim.x * gridDim.y * gridDim.z, order_kind)) {
        blockIdx = position(index, gridDim);
        run_block();
        if (!problem.empty()) break;
    }
    return problem.c_str();
}

// How many threads of the caller's warp a barrier with this mask waits for.
static int lanes_in(unsigned mask) {
    int first = current->thread / WARP * WARP, existing = std::min<int>(WARP, order.size() - first);
    return __builtin_popcount(existing == WARP ? mask : mask & ((1u << existing) - 1));
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

#define __syncthreads() emulator::wait(emulator::block_barrier, emulator::order.size(), __LINE__)
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
    extern "C" const char* run_##name(void** args, const unsigned* grid, const unsigned* block, int order,    \
                                      int shared_bytes) {                                                     \
        return emulator::launch(call_##name, args, grid, block, order, shared_bytes);                         \
    }

// Threads run one at a time, so that plain code is atomic.
template <class T, class V> static T atomicAdd(T* p, V value) { T old = *p; *p += value; return old; }
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
