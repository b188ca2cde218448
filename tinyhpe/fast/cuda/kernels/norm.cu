// Batch norm + residual + ReLU: two reductions over rows, and one pass that does all the rest.
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
