// The kernels of tinyhpe, CUDA C without includes. The same text is compiled by NVRTC (through CuPy) for a GPU and
// by g++ (tinyhpe/emulator) for the tests on a CPU; kernels.py calls it, and says what every array is.
//
// Arrays are float32 and C-contiguous, images NHWC: neighbouring threads take neighbouring channels, so that a warp
// reads and writes whole lines of memory. Lengths are int; whatever is multiplied out of them is long long, because
// N * H * W * C passes 2^31. No kernel uses atomics: the same input gives the same bits. None computes in float16.
//
// "Moves" says how many bytes a kernel must read and write: divided by the bandwidth of a card, that is the least time
// that it can take there.

#define THREADS 256  // of a block, as in kernels.py

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

// ---- Convolution: a matrix product, once the windows are laid out as rows --------------------------------------------

// The window of each output pixel becomes a row of `columns` (N * out_height * out_width, kernel * kernel * channels).
// Values are copied, never looked at: so those of float16 can be numbers of two bytes, of which 0 is 0.0 too.
// Grid: a thread for each output pixel and channel; it copies kernel * kernel values.
// Moves: the bytes of each value of x, and kernel * kernel times those of each output pixel and channel.
template <class Value>
__device__ void copy_windows(const Value* __restrict__ x, Value* columns, int images, int height, int width,
                             int channels, int out_height, int out_width, int kernel, int stride, int padding) {
    long long i = thread_number();
    if (i >= (long long)images * out_height * out_width * channels) return;
    Place at = place_of(i, out_height, out_width, channels);
    Value* window = columns + i / channels * kernel * kernel * channels + at.c;
    for (int ky = 0; ky < kernel; ++ky)
        for (int kx = 0; kx < kernel; ++kx) {
            int y = at.y * stride - padding + ky, left = at.x * stride - padding + kx;
            bool inside = y >= 0 && y < height && left >= 0 && left < width;
            window[(ky * kernel + kx) * channels] =
                inside ? x[((at.n * height + y) * width + left) * channels + at.c] : Value(0);
        }
}

extern "C" __global__ void im2col(const float* __restrict__ x, float* columns, int images, int height, int width,
                                  int channels, int out_height, int out_width, int kernel, int stride, int padding) {
    copy_windows(x, columns, images, height, width, channels, out_height, out_width, kernel, stride, padding);
}

extern "C" __global__ void im2col_float16(const unsigned short* __restrict__ x, unsigned short* columns, int images,
                                          int height, int width, int channels, int out_height, int out_width,
                                          int kernel, int stride, int padding) {
    copy_windows(x, columns, images, height, width, channels, out_height, out_width, kernel, stride, padding);
}

// Along one axis: the output pixel whose window has input pixel `place` as its element `tap`, or -1.
__device__ int output_reading(int place, int tap, int stride, int padding, int out_length) {
    int start = place + padding - tap;
    if (start < 0 || start % stride != 0) return -1;
    return start / stride < out_length ? start / stride : -1;
}

// The gradient of im2col: a value of x gets the sum over all places of `columns` that it was copied to.
// Gather, not scatter: the thread of a value of x collects what is its own, so that no two threads write to one place.
// Grid: a thread for each value of dx. Moves: 4 bytes for each value of columns and of dx.
extern "C" __global__ void col2im(const float* __restrict__ columns, float* dx, int images, int height, int width,
                                  int channels, int out_height, int out_width, int kernel, int stride, int padding) {
    long long i = thread_number();
    if (i >= (long long)images * height * width * channels) return;
    Place at = place_of(i, height, width, channels);
    float sum = 0.0f;
    for (int ky = 0; ky < kernel; ++ky)
        for (int kx = 0; kx < kernel; ++kx) {
            int out_y = output_reading(at.y, ky, stride, padding, out_height);
            int out_x = output_reading(at.x, kx, stride, padding, out_width);
            if (out_y < 0 || out_x < 0) continue;
            long long row = (at.n * out_height + out_y) * out_width + out_x;
            sum += columns[((row * kernel + ky) * kernel + kx) * channels + at.c];
        }
    dx[i] = sum;
}

// ---- Max pooling: remember who won -----------------------------------------------------------------------------------

// The largest value of each window, and its number in the window (0 .. kernel * kernel - 1, row by row) as one byte.
// Of equal values the first wins; a NaN wins over everything.
// Grid: a thread for each value of y. Moves: 4 bytes for each value of x, 5 for each of y.
extern "C" __global__ void max_pool(const float* __restrict__ x, float* y, unsigned char* winners, int images,
                                    int height, int width, int channels, int out_height, int out_width, int kernel,
                                    int stride, int padding) {
    long long i = thread_number();
    if (i >= (long long)images * out_height * out_width * channels) return;
    Place at = place_of(i, out_height, out_width, channels);
    float largest = 0.0f;
    int winner = -1;
    for (int ky = 0; ky < kernel; ++ky)
        for (int kx = 0; kx < kernel; ++kx) {
            int top = at.y * stride - padding + ky, left = at.x * stride - padding + kx;
            if (top < 0 || top >= height || left < 0 || left >= width) continue;
            float value = x[((at.n * height + top) * width + left) * channels + at.c];
            if (winner < 0 || value > largest || value != value) {
                largest = value;
                winner = ky * kernel + kx;
            }
        }
    y[i] = largest;
    winners[i] = winner;
}

// A value of x gets the gradients of the windows that it won.
// Grid: a thread for each value of dx. Moves: 5 bytes for each value of g, 4 for each of dx.
extern "C" __global__ void max_pool_backward(const float* __restrict__ g, const unsigned char* __restrict__ winners,
                                             float* dx, int images, int height, int width, int channels,
                                             int out_height, int out_width, int kernel, int stride, int padding) {
    long long i = thread_number();
    if (i >= (long long)images * height * width * channels) return;
    Place at = place_of(i, height, width, channels);
    float sum = 0.0f;
    for (int ky = 0; ky < kernel; ++ky)
        for (int kx = 0; kx < kernel; ++kx) {
            int out_y = output_reading(at.y, ky, stride, padding, out_height);
            int out_x = output_reading(at.x, kx, stride, padding, out_width);
            if (out_y < 0 || out_x < 0) continue;
            long long window = ((at.n * out_height + out_y) * out_width + out_x) * channels + at.c;
            if (winners[window] == ky * kernel + kx) sum += g[window];
        }
    dx[i] = sum;
}

// ---- Batch norm + residual + ReLU: two reductions over rows, and one pass that does all the rest --------------------
//
// x is seen as rows x channels. In the reductions a block is (channels of a tile, rows at a time) and the grid
// (tiles of channels, slabs of rows): a thread sums a part of one channel in float32, the rest is summed in float64.
// The slabs' sums go through memory and are added up by a second kernel, a block for each tile.

// Sum a and b over the threads of a block that share a channel (threadIdx.x); all of them get the sums.
// A tree in shared memory, log2(blockDim.y) steps; blockDim.y is a power of two. Every thread must come here.
__device__ void sum_over_block_rows(double& a, double& b) {
    __shared__ double sums_a[THREADS], sums_b[THREADS];
    int me = threadIdx.y * blockDim.x + threadIdx.x;
    sums_a[me] = a;
    sums_b[me] = b;
    __syncthreads();
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half) {
            sums_a[me] += sums_a[me + half * blockDim.x];
            sums_b[me] += sums_b[me + half * blockDim.x];
        }
        __syncthreads();
    }
    a = sums_a[threadIdx.x];
    b = sums_b[threadIdx.x];
}

// The first level: what a block found in its slab of rows goes to sums (2, slabs, channels).
__device__ void write_slab_sums(double a, double b, double* sums, int channels, int c) {
    sum_over_block_rows(a, b);
    if (c >= channels || threadIdx.y > 0) return;
    sums[blockIdx.y * channels + c] = a;
    sums[(gridDim.y + blockIdx.y) * channels + c] = b;
}

// The second level: the sums of all slabs for one channel.
__device__ void sum_over_slabs(const double* sums, int slabs, int channels, int c, double& a, double& b) {
    a = b = 0;
    for (int slab = threadIdx.y; c < channels && slab < slabs; slab += blockDim.y) {
        a += sums[slab * channels + c];
        b += sums[(slabs + slab) * channels + c];
    }
    sum_over_block_rows(a, b);
}

// Sums of x - origin and of its square, where origin is the channel's first value: near the mean, so that the
// variance is not the small difference of two large numbers. Moves: 4 bytes for each value of x.
extern "C" __global__ void batch_norm_sums(const float* __restrict__ x, double* sums, int rows, int channels) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f, squares = 0.0f;
    if (c < channels) {
        float origin = x[c];
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += gridDim.y * blockDim.y) {
            float centred = x[(long long)row * channels + c] - origin;
            sum += centred;
            squares += centred * centred;
        }
    }
    write_slab_sums(sum, squares, sums, channels, c);
}

// Mean and biased variance of each channel; the running ones are updated, the variance unbiased (as torch does).
// Grid: a block for each tile of channels. Moves: next to nothing.
extern "C" __global__ void batch_norm_statistics(const float* __restrict__ x, const double* __restrict__ sums,
                                                 float* mean, float* var, float* running_mean, float* running_var,
                                                 int slabs, int rows, int channels, float momentum) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, squares;
    sum_over_slabs(sums, slabs, channels, c, sum, squares);
    if (c >= channels || threadIdx.y > 0) return;
    double shift = sum / rows, variance = squares / rows - shift * shift;
    if (variance < 0) variance = 0;
    mean[c] = x[c] + shift;
    var[c] = variance;
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * (variance * rows / (rows - 1) - running_var[c]);
}

// y = relu(gamma * (x - mean) / sqrt(var + eps) + beta + residual). Where add_residual is 0 the residual is not read.
// Grid: a thread for each value. Moves: 8 bytes for each value, 12 with a residual; four ops apart would move 36.
extern "C" __global__ void batch_norm_apply(const float* __restrict__ x, const float* __restrict__ mean,
                                            const float* __restrict__ var, const float* __restrict__ gamma,
                                            const float* __restrict__ beta, const float* __restrict__ residual,
                                            float* y, int rows, int channels, float eps, int add_residual, int relu) {
    long long i = thread_number();
    if (i >= (long long)rows * channels) return;
    int c = i % channels;
    float value = (x[i] - mean[c]) * (gamma[c] / sqrtf(var[c] + eps)) + beta[c];
    if (add_residual) value += residual[i];
    y[i] = relu && value < 0.0f ? 0.0f : value;  // so written, a NaN stays a NaN
}

// Sums of g and of g * (x - mean), g being 0 where the ReLU was shut (y <= 0). Where relu is 0, y is not read.
// Moves: 8 bytes for each value, 12 with ReLU.
extern "C" __global__ void batch_norm_gradient_sums(const float* __restrict__ g, const float* __restrict__ x,
                                                    const float* __restrict__ y, const float* __restrict__ mean,
                                                    double* sums, int rows, int channels, int relu) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f, products = 0.0f;
    if (c < channels)
        for (int row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += gridDim.y * blockDim.y) {
            long long i = (long long)row * channels + c;
            if (relu && y[i] <= 0.0f) continue;
            sum += g[i];
            products += g[i] * (x[i] - mean[c]);
        }
    write_slab_sums(sum, products, sums, channels, c);
}

// d_beta = sum of g; d_gamma = sum of g * (x - mean) / sqrt(var + eps). Grid: a block for each tile of channels.
extern "C" __global__ void batch_norm_parameter_gradients(const double* __restrict__ sums,
                                                          const float* __restrict__ var, float* d_gamma,
                                                          float* d_beta, int slabs, int channels, float eps) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    double sum, products;
    sum_over_slabs(sums, slabs, channels, c, sum, products);
    if (c >= channels || threadIdx.y > 0) return;
    d_beta[c] = sum;
    d_gamma[c] = products / sqrt((double)var[c] + eps);
}

// dx = gamma / std * (g - share * (d_beta + d_gamma * (x - mean) / std)), where std = sqrt(var + eps) and g is 0 where
// the ReLU was shut. share is 1 / rows where mean and var came from x itself, and 0 where they were constants.
// The masked g is also the residual's gradient: written to d_residual if write_residual.
// Grid: a thread for each value. Moves: 12 bytes for each value, 4 more each with ReLU and with a residual.
extern "C" __global__ void batch_norm_input_gradient(
    const float* __restrict__ g, const float* __restrict__ x, const float* __restrict__ y,
    const float* __restrict__ mean, const float* __restrict__ var, const float* __restrict__ gamma,
    const float* __restrict__ d_gamma, const float* __restrict__ d_beta, float* dx, float* d_residual, int rows,
    int channels, float eps, float share, int relu, int write_residual) {
    long long i = thread_number();
    if (i >= (long long)rows * channels) return;
    int c = i % channels;
    float inverse = 1.0f / sqrtf(var[c] + eps), masked = relu && y[i] <= 0.0f ? 0.0f : g[i];
    if (write_residual) d_residual[i] = masked;
    dx[i] = gamma[c] * inverse * (masked - share * (d_beta[c] + d_gamma[c] * (x[i] - mean[c]) * inverse));
}

// y = relu(y + bias + residual), in place: what is left of a batch norm that was folded into a convolution's weights.
// Where add_residual is 0 the residual is not read. Grid: a thread for each value.
// Moves: 8 bytes for each value, 12 with a residual.
extern "C" __global__ void add_bias(float* y, const float* __restrict__ bias, const float* __restrict__ residual,
                                    int rows, int channels, int add_residual, int relu) {
    long long i = thread_number();
    if (i >= (long long)rows * channels) return;
    float value = y[i] + bias[i % channels];
    if (add_residual) value += residual[i];
    y[i] = relu && value < 0.0f ? 0.0f : value;
}

// ---- Ranking: all pairs of a batch, without the n x n matrix in memory -----------------------------------------------

// The cross-entropy of p = sigmoid(s_i - s_j) with the target 1, 1/2 or 0 (level_i above, equal to, below level_j):
// losses[i] = sum over j != i, and gradient[i] = 2 / (n (n - 1)) * sum_j (p_ij - t_ij), that of the mean over all pairs.
// scores and levels are (n, angles). Tiles: the block loads THREADS scores into shared memory once, and each of its
// threads pairs its own with all of them. The pair i, i adds nothing to the gradient: p = t = 1/2.
// Grid: (n / THREADS, angles), a thread for each i. Moves: 16 bytes for each score, and 8 n for each block; next to
// n * n times expf and log1pf that is little.
extern "C" __global__ void rank_pairs(const float* __restrict__ scores, const int* __restrict__ levels, float* losses,
                                      float* gradient, int n, int angles) {
    __shared__ float tile_scores[THREADS];
    __shared__ int tile_levels[THREADS];
    int i = blockIdx.x * blockDim.x + threadIdx.x, angle = blockIdx.y;
    float score = i < n ? scores[i * angles + angle] : 0.0f;
    int level = i < n ? levels[i * angles + angle] : 0;
    float loss = 0.0f, pull = 0.0f;
    for (int start = 0; start < n; start += blockDim.x) {
        int mine = start + threadIdx.x;
        if (mine < n) {
            tile_scores[threadIdx.x] = scores[mine * angles + angle];
            tile_levels[threadIdx.x] = levels[mine * angles + angle];
        }
        __syncthreads();  // the tile is complete
        for (int k = 0; k < blockDim.x && start + k < n; ++k) {
            float z = score - tile_scores[k], e = expf(-fabsf(z));  // e never overflows
            float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
            if (start + k != i) loss += fmaxf(z, 0.0f) - z * target + log1pf(e);
            pull += (z < 0.0f ? e : 1.0f) / (1.0f + e) - target;
        }
        __syncthreads();  // nobody reads it any more
    }
    if (i >= n) return;
    losses[i * angles + angle] = loss;
    gradient[i * angles + angle] = pull * (2.0f / ((float)n * (n - 1)));
}

// ---- Adam: one pass over all parameters ------------------------------------------------------------------------------

// Kingma and Ba (2015), algorithm 1; the bias corrections are in rates = (lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)).
// The rates are read from memory because a captured CUDA graph would freeze a number given by value.
// Where overflow is not 0 (see below), nothing changes. Grid: a thread for each parameter. Moves: 28 bytes for each.
extern "C" __global__ void adam(float* parameters, const float* __restrict__ gradient, float* mean, float* square,
                                const float* __restrict__ rates, const int* __restrict__ overflow, int count,
                                float beta1, float rest1, float beta2, float rest2, float eps) {
    long long i = thread_number();
    if (i >= count || *overflow) return;
    float g = gradient[i];
    mean[i] = beta1 * mean[i] + rest1 * g;
    square[i] = beta2 * square[i] + rest2 * (g * g);
    parameters[i] -= mean[i] / (sqrtf(square[i]) * rates[1] + eps) * rates[0];
}

// ---- Loss scaling: for gradients that went through float16, where numbers reach from 6e-8 to 65504 -------------------

// gradient /= scale, in place; where a value is infinite or NaN, overflow becomes 1, else it stays as it is. Several
// threads may write that 1, all the same. Grid: a thread for each value. Moves: 8 bytes for each.
extern "C" __global__ void unscale(float* gradient, const float* __restrict__ scale, int* overflow, int count) {
    long long i = thread_number();
    if (i >= count) return;
    gradient[i] /= *scale;
    if (!isfinite(gradient[i])) *overflow = 1;
}

// After a step: half the scale if there was an overflow, twice the scale after so many steps in a row without one,
// and within [1, largest]. overflow becomes 0. Grid: one thread. Moves: next to nothing.
extern "C" __global__ void adapt_scale(float* scale, int* steps_without, int* overflow, int growth_interval,
                                       float largest) {
    if (thread_number() > 0) return;
    *steps_without = *overflow ? 0 : *steps_without + 1;
    if (*overflow) *scale = fmaxf(*scale / 2, 1.0f);
    if (*steps_without == growth_interval) {
        *scale = fminf(*scale * 2, largest);
        *steps_without = 0;
    }
    *overflow = 0;
}

// ---- Images: from bytes to what the network sees ---------------------------------------------------------------------

// out = (min(pixel * brightness, 255) - mean) / std over a part of each image of `size` x `size` pixels.
// Of image n, variations[4 n] are y and x of the part's upper left corner, whether it is mirrored left to right (1 or
// 0), and the brightness. A byte crosses the bus to the GPU, a float would be four.
// Grid: a thread for each value of out. Moves: 1 byte and 4 for each value.
extern "C" __global__ void prepare_images(const unsigned char* __restrict__ images,
                                          const float* __restrict__ variations, const float* __restrict__ mean,
                                          const float* __restrict__ std, float* out, int count, int side, int size) {
    long long i = thread_number();
    if (i >= (long long)count * size * size * 3) return;
    Place at = place_of(i, size, size, 3);
    const float* variation = variations + 4 * at.n;
    int y = (int)variation[0] + at.y;
    int x = (int)variation[1] + (variation[2] != 0.0f ? size - 1 - at.x : at.x);
    float value = images[((at.n * side + y) * side + x) * 3 + at.c] * variation[3];
    out[i] = (fminf(value, 255.0f) - mean[at.c]) / std[at.c];
}
