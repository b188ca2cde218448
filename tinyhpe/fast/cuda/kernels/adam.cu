// Adam, and loss scaling: for gradients that went through float16, where numbers reach from 6e-8 to 65504.

// Kingma and Ba (2015), algorithm 1; the bias corrections are in rates = (lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)).
// The rates are read from memory because a captured CUDA graph would freeze a number given by value.
// Where overflow is not 0 (see below), nothing changes. Grid: a thread for each value. Moves: 28 bytes for each.
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
