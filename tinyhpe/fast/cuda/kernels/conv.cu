// Convolution: a matrix product, once the windows are laid out as rows.

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
