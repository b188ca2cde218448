// Ranking: all pairs of a batch, without the n x n matrix in memory.

// The cross-entropy of p = sigmoid(s_i - s_j) with the target 1, 1/2 or 0 (level_i above, equal to, below level_j):
// losses[i] = sum over j != i, and gradient[i] = 2 / (n (n - 1)) * sum_j (p_ij - t_ij), that of the mean over all pairs.
// p - t is written as (1 - t) p - t (1 - p), so that nothing small is lost beside 1.
// scores and levels are (n, angles). Tiles: the block loads THREADS scores into shared memory once, and each of its
// threads pairs its own with all of them. The pair i, i adds nothing to the gradient: p = t = 1/2.
// Grid: (n / THREADS, angles), a thread for each i. Moves: 20 bytes for each score, and 12 n for each block; next to
// n * n times expf and log1pf that is little.
extern "C" __global__ void rank_pairs(const float* __restrict__ scores, const long long* __restrict__ levels,
                                      float* losses, float* gradient, int n, int angles) {
    __shared__ float tile_scores[THREADS];
    __shared__ long long tile_levels[THREADS];
    int i = blockIdx.x * blockDim.x + threadIdx.x, angle = blockIdx.y;
    float score = i < n ? scores[i * angles + angle] : 0.0f;
    long long level = i < n ? levels[i * angles + angle] : 0;
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
            float above = z < 0.0f ? e : 1.0f, below = z < 0.0f ? 1.0f : e;  // p and 1 - p, times 1 + e
            pull += ((1.0f - target) * above - target * below) / (1.0f + e);
        }
        __syncthreads();  // nobody reads it any more
    }
    if (i >= n) return;
    losses[i * angles + angle] = loss;
    gradient[i * angles + angle] = pull * (2.0f / ((float)n * (n - 1)));
}
