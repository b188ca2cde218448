// Counts the reads and writes of every thread; stands between shim.h and the kernels. With -fsanitize=thread the
// compiler calls __tsan_read4(place) before each read of 4 bytes, and so on. That is made for a library that finds
// races; here only the calls are used.
#define NOT_COUNTED __attribute__((no_sanitize("thread")))

namespace emulator {

struct Array {
    char* start;
    long long bytes;
};
static Array* arrays;  // in global memory
static int array_count;
static long long (*counts)[2][2];  // [thread of the grid][global, shared][reads, writes]
static long long (*moved)[2];      // bytes of all threads: [global, shared][reads, writes]

NOT_COUNTED static bool lies_in(char* place, char* start, long long bytes) {
    return start <= place && place < start + bytes;
}

NOT_COUNTED static void count(void* address, int bytes, int write) {
    char* place = (char*)address;
    bool shared = lies_in(place, __start_shared_memory, __stop_shared_memory - __start_shared_memory) ||
                  lies_in(place, dynamic_shared, dynamic_shared_bytes);
    bool global = false;
    for (int i = 0; i < array_count; ++i) global = global || lies_in(place, arrays[i].start, arrays[i].bytes);
    if (!shared && !global) return;  // a variable of the thread, or threadIdx
    long long block = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    ++counts[block * threads + current->thread][shared][write];
    moved[shared][write] += bytes;
}

}  // namespace emulator

EXPORT void count_into(void* counts, void* moved, void* arrays, int array_count) {
    emulator::counts = (long long(*)[2][2])counts;
    emulator::moved = (long long(*)[2])moved;
    emulator::arrays = (emulator::Array*)arrays;
    emulator::array_count = array_count;
}

#define COUNT(bytes)                                                                                           \
    extern "C" NOT_COUNTED void __tsan_read##bytes(void* place) { emulator::count(place, bytes, 0); }           \
    extern "C" NOT_COUNTED void __tsan_write##bytes(void* place) { emulator::count(place, bytes, 1); }
COUNT(1)
COUNT(2)
COUNT(4)
COUNT(8)
COUNT(16)
extern "C" {  // what the compiler calls, too
NOT_COUNTED void __tsan_init() {}
NOT_COUNTED void __tsan_func_entry(void*) {}
NOT_COUNTED void __tsan_func_exit() {}
NOT_COUNTED void* __tsan_memset(void* to, int value, size_t bytes) { return memset(to, value, bytes); }
NOT_COUNTED void* __tsan_memcpy(void* to, const void* from, size_t bytes) { return memcpy(to, from, bytes); }
}
