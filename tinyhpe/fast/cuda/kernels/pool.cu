// Max pooling: remember who won.

// The largest value of each window, and its number in the window (0 .. kernel * kernel - 1, row by row) as one byte.
// Of equal values the first wins; the first NaN wins over everything.
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
            if (winner < 0 || value > largest || (value != value && largest == largest)) {
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
