// What all kernels use. The files of this folder are one text, this one first (launch.py): CUDA C without includes,
// compiled by NVRTC (through CuPy) for a GPU, and by g++ (emulator/) for the tests on a CPU. The Python file that
// launches the kernels of a file has its name, and says what every array is.
//
// Arrays are float32 and C-contiguous, images NHWC: neighbouring threads take neighbouring channels, so that a warp
// reads and writes whole lines of memory. Lengths are int; whatever is multiplied out of them is long long, because
// N * H * W * C passes 2^31. No kernel uses atomics: the same input gives the same bits. None computes in float16.
//
// "Moves" says how many bytes a kernel must read and write: divided by the bandwidth of a card, that is the least time
// that it can take there.

#define THREADS 256  // of a block, as in launch.py

__device__ long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

struct Place {  // of a value in an array (N, height, width, channels)
    long long n;
    int y, x, c;
};

__device__ Place place_of(long long value, int height, int width, int channels) {
    Place at;
    at.c = value % channels;
    at.x = value / channels % width;
    at.y = value / channels / width % height;
    at.n = value / channels / width / height;
    return at;
}

// Along one axis: the output pixel whose window has input pixel `place` as its element `tap`, or -1.
__device__ int output_reading(int place, int tap, int stride, int padding, int out_length) {
    int start = place + padding - tap;
    if (start < 0 || start % stride != 0) return -1;
    return start / stride < out_length ? start / stride : -1;
}
