# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 10. A heading holds the exercise, and what check() must say about the cell."""

# %% 10.1: there is no bounds check


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: off by one: place n does not exist


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i <= n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: off by one: the check leaves out place n - 1


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n - 1) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: 1 / 2 is a division of integers


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = 1 / 2 * (a[i] + b[i]);
    }
    """


# %% 10.1: nothing is halved


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = (a[i] + b[i]);
    }
    """


# %% 10.1: only b is halved


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a[i] + b[i] / 2;
    }
    """


# %% 10.1: the index is threadIdx.x alone


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: the block's number is not multiplied by the size of a block


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: gridDim.x is the number of blocks


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * gridDim.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: += adds to what lies there


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] += 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: the decimals are cut off


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        int mean = 0.5f * (a[i] + b[i]);
        if (i < n) y[i] = mean;
    }
    """


# %% 10.1: the kernel does not compile


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i])
    }
    """


# %% 10.1: the kernel that is asked for is not there


def average_kernel():
    return """
    __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i] + b[i]);
    }
    """


# %% 10.1: the answer is to be the text of a kernel


def average_kernel():
    return np.mean


# %% 10.1: a or b is read out of bounds


def average_kernel():
    return """
    extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = 0.5f * (a[i - 1] + b[i]);
    }
    """


# %% 10.1: every thread does the work of all
def average_kernel():
    return """
extern "C" __global__ void average(const float* a, const float* b, float* y, int n) {
    for (int i = 0; i < n; ++i) y[i] = 0.5f * (a[i] + b[i]);
}
"""


# %% 10.2: there is no barrier at all


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: a barrier is missing before the loop


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: a barrier is missing in the loop


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: a barrier stands inside an if


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) {
                part[t] += part[t + half];
                __syncthreads();
            }
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: threads that return early never come to the barrier


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        if (i >= n) return;
        part[t] = x[i];
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: x is read out of bounds


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = x[i];
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: places of the shared memory are read that nobody has filled


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        if (i < n) part[t] = x[i];
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: the loop ends one step early


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 1; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: = replaces what a thread has


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] = part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: off by one: with <=


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t <= half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: the distance is too large


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: all blocks write their sum to the same place


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
        if (t == 0) sums[0] = part[0];
    }
    """


# %% 10.2: sums has one place for each block


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
        sums[i] = part[0];
    }
    """


# %% 10.2: x is read at threadIdx.x


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[t] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: only one thread of the whole grid writes


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
        if (i == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: += adds to what lies there


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
        if (t == 0) sums[blockIdx.x] += part[0];
    }
    """


# %% 10.2: the shared array is of int


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ int part[256];
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


# %% 10.2: a sum is asked for


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
        if (t == 0) sums[blockIdx.x] = part[0] / blockDim.x;
    }
    """


# %% 10.2: all threads of a block add its sum


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
        sums[blockIdx.x] += part[0];
    }
    """


# %% 10.2: threads beyond n put in something that is not 0


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 1.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.2: the distance goes down by 1


def tree_kernel():
    return """
    extern "C" __global__ void tree_sum(const float* x, float* sums, int n) {
        __shared__ float part[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        part[t] = i < n ? x[i] : 0.0f;
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half--) {
            if (t < half) part[t] += part[t + half];
            __syncthreads();
        }
        if (t == 0) sums[blockIdx.x] = part[0];
    }
    """


# %% 10.3: there is no bounds check


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
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


# %% 10.3: off by one: place n does not exist


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i > n) return;
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


# %% 10.3: an image is paired with itself


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a tie is not seen as one: its target is 1/2


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            int target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a tie is not seen as one: its target is 1/2


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 1 / 2 : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a tie is not seen as one: >=


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] >= levels[j] ? 1.0f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: z is s_j - s_i


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[j] - scores[i];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: z is s_j - s_i


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] < levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: an exponential is too large for a float32


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
            loss += log1pf(expf(z)) - z * target;
        }
        losses[i] = loss;
    }
    """


# %% 10.3: = replaces the sum


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
            loss = fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: j goes up to i only


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < i; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: j begins behind i


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = i + 1; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: off by one: j ends one too early


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n - 1; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: something is read out of bounds


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j <= n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a sum is asked for


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
        losses[i] = loss / (n - 1);
    }
    """


# %% 10.3: the index is threadIdx.x alone


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = threadIdx.x;
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


# %% 10.3: += adds to what lies there


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
        losses[i] += loss;
    }
    """


# %% 10.3: one of the three terms is left out


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
            loss += fmaxf(z, 0.0f) - z * target;
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a sign of the formula is wrong


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
            loss += fmaxf(z, 0.0f) + z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: a minus is missing in the exponential


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
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: the absolute value is missing


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
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-z));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: the 1 is missing


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
            loss += fmaxf(z, 0.0f) - z * target + logf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: z, or a score, went through an int


def pair_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float loss = 0.0f;
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            int z = scores[i] - scores[j];
            float target = levels[i] > levels[j] ? 1.0f : levels[i] == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.3: all threads write to the same place


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
        losses[0] += loss;
    }
    """


# %% 10.4: the sum is kept in global memory


def thrifty_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float score = scores[i], unused = 0.0f;
        losses[i] = 0.0f;
        int level = levels[i];
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = score - scores[j];
            int other = levels[j];
            float target = level > other ? 1.0f : level == other ? 0.5f : 0.0f;
            losses[i] += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }

    }
    """


# %% 10.4: the thread's own score or level is read anew


def thrifty_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float score = scores[i], loss = 0.0f;
        int level = levels[i];
        for (int j = 0; j < n; ++j) {
            if (j == i) continue;
            float z = scores[i] - scores[j];
            int other = levels[j];
            float target = level > other ? 1.0f : level == other ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.4: the thread's own score or level is read anew


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
            float target = levels[i] > other ? 1.0f : level == other ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.4: a partner's score or level is read more than once


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
            float target = level > levels[j] ? 1.0f : level == levels[j] ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.4: an image is paired with itself


def thrifty_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i >= n) return;
        float score = scores[i], loss = 0.0f;
        int level = levels[i];
        for (int j = 0; j < n; ++j) {
            float z = score - scores[j];
            int other = levels[j];
            float target = level > other ? 1.0f : level == other ? 0.5f : 0.0f;
            loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        losses[i] = loss;
    }
    """


# %% 10.4: threads beyond n read what is not theirs: here nobody uses it, and a card may end the pr
def thrifty_kernel():
    return """
extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float mine = scores[i], sum = 0.0f;
    int level = levels[i];
    if (i >= n) return;
    for (int j = 0; j < n; ++j) {
        if (j == i) continue;
        float z = mine - scores[j];
        int other = levels[j];
        float target = level > other ? 1.0f : level == other ? 0.5f : 0.0f;
        sum += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
    }
    losses[i] = sum;
}
"""


# %% 10.5: nothing goes through shared memory


def tiled_kernel():
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


# %% 10.5: there is no barrier at all


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
            for (int k = 0; k < blockDim.x && start + k < n; ++k) {
                if (start + k == i) continue;
                float z = score - tile_scores[k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: a barrier is missing in the tile's loop: a tile is read


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


# %% 10.5: a barrier is missing in the tile's loop: the next tile


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
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: threads that return early never come to the barrier


def tiled_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        __shared__ float tile_scores[256];
        __shared__ int tile_levels[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        if (i >= n) return;
        float score = scores[i], loss = 0.0f;
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


# %% 10.5: something is read out of bounds, or in shared memory before it is there


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
            for (int k = 0; k < blockDim.x; ++k) {
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


# %% 10.5: there are tiles, and global memory is still read


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
                float z = score - scores[start + k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
            __syncthreads();
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: an image is paired with itself


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
                float z = score - tile_scores[k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
            __syncthreads();
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: the write is not behind the bounds check


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
        losses[i] = loss;
    }
    """


# %% 10.5: only the first tile is gone through


def tiled_kernel():
    return """
    extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
        __shared__ float tile_scores[256];
        __shared__ int tile_levels[256];
        int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
        float score = i < n ? scores[i] : 0.0f, loss = 0.0f;
        int level = i < n ? levels[i] : 0;
        for (int start = 0; start < 1; start += blockDim.x) {
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


# %% 10.5: the place in the tile is compared


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
                if (k == t) continue;
                float z = score - tile_scores[k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
            __syncthreads();
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: the place in the tile is compared


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
                if (k == i) continue;
                float z = score - tile_scores[k];
                float target = level > tile_levels[k] ? 1.0f : level == tile_levels[k] ? 0.5f : 0.0f;
                loss += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
            }
            __syncthreads();
        }
        if (i < n) losses[i] = loss;
    }
    """


# %% 10.5: threads beyond n read what is not theirs: here nobody uses it, and a card may end the pr
def tiled_kernel():
    return """
extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
    __shared__ float s[256];
    __shared__ int k[256];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    float mine = i < n ? scores[i] : 0.0f, sum = 0.0f;
    int level = i < n ? levels[i] : 0;
    for (int start = 0; start < n; start += blockDim.x) {
        s[t] = scores[start + t];
        k[t] = levels[start + t];
        __syncthreads();
        for (int u = 0; u < blockDim.x && start + u < n; ++u) {
            if (start + u == i) continue;
            float z = mine - s[u];
            float target = level > k[u] ? 1.0f : level == k[u] ? 0.5f : 0.0f;
            sum += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        __syncthreads();
    }
    if (i < n) losses[i] = sum;
}
"""


# %% 10.5: an index is wildly wrong, so that the memory there belongs to nobody
def tiled_kernel():
    return """
extern "C" __global__ void pair_loss(const float* scores, const int* levels, float* losses, int n) {
    __shared__ float s[32];
    __shared__ int k[256];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    float mine = i < n ? scores[i] : 0.0f, sum = 0.0f;
    int level = i < n ? levels[i] : 0;
    for (int start = 0; start < n; start += blockDim.x) {
        if (start + t < n) {
            s[t] = scores[start + t];
            k[t] = levels[start + t];
        }
        __syncthreads();
        for (int u = 0; u < blockDim.x && start + u < n; ++u) {
            if (start + u == i) continue;
            float z = mine - s[u];
            float target = level > k[u] ? 1.0f : level == k[u] ? 0.5f : 0.0f;
            sum += fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z)));
        }
        __syncthreads();
    }
    if (i < n) losses[i] = sum;
}
"""
