"""Solutions of lesson 10. Each cell stands in place of the exercise cell of the same number."""

# %% 10.1
# Exercise 10.1


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.2
# Exercise 10.2


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.3
# Exercise 10.3


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.4
# Exercise 10.4


def thrifty_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float score = scores[i], loss = 0.0f;
        int level = levels[i];
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = score - scores[j];
            int other = levels[j];
            float target = level > other ? 1.0f : level == other ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.5
# Challenge 10.5


def tiled_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        __shared__ float tile_scores[256];
        __shared__ int tile_levels[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        float score = i < n ? scores[i] : 0.0f, loss = 0.0f;
        int level = i < n ? levels[i] : 0;
        for (int start = 0; start < n; start += blockDim.x) {
            if (start + t < n) {
                tile_scores[t] = scores[start + t];
                tile_levels[t] = levels[start + t];
            }
            __syncthreads();
            for (int k = 0; k < blockDim.x && start + k < n; ++k) {
                if (start + k == i) continue;
                float z = score - tile_scores[k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
            __syncthreads();
        }
        if (i < n) losses[i] = loss;
    }
    """
