// The inner loops: sweeps over one tile.
//
// A tile is a contiguous piece of pixels × channels values. In channels_last memory it is some
// pixels of a sample, all channels of a pixel side by side; in NCHW memory it is a piece of one
// plane, which is the same with one channel. What is done with one register of values is an
// operation (Sum, Spread, Affine, …); the two drivers below lead it over a tile.

#pragma once

#include <algorithm>

#include "vector.h"

namespace normlab {

enum class Activation { none, relu, leaky_relu, silu };
constexpr float kLeakySlope = 0.01f;
constexpr int kColumns = 4;  // registers side by side, to hide the latency of an addition

NORMLAB_INLINE Vector sigmoid(Vector u) { return inverse_of_successor(exponential(-u)); }

// The activation is no template parameter: the branch is the same every time and costs nothing,
// and the file compiles in a third of the time. NaN goes through comparisons as in torch.
NORMLAB_INLINE Vector activate(Vector z, Activation activation) {
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return z < Vector{} ? Vector{} : z;
    case Activation::leaky_relu:
      return z > Vector{} ? z : z * kLeakySlope;
    case Activation::silu:
      return z * sigmoid(z);
  }
  __builtin_unreachable();
}

// dz = dy·act', from z, or from y for relu and leaky_relu.
NORMLAB_INLINE Vector through_activation(Vector dy, Vector pivot, Activation activation) {
  switch (activation) {
    case Activation::none:
      return dy;
    case Activation::relu:
      return pivot > Vector{} ? dy : Vector{};
    case Activation::leaky_relu:
      return pivot > Vector{} ? dy : dy * kLeakySlope;
    case Activation::silu: {
      const Vector s = sigmoid(pivot);
      return dy * (s * (pivot * (splat(1.0f) - s) + 1.0f));
    }
  }
  __builtin_unreachable();
}

// An operation handles the register of values at one place of the tile (only the first `lanes`
// where kPartial), with coefficients that depend on the channel, and adds to sums per channel.

template <class T>
struct Sum {  // Σ x
  static constexpr int kCoefficients = 0, kSums = 1;
  const T* x;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector*, Vector* sum, int lanes) const {
    sum[0] += get<kPartial>(x + at, lanes);
  }
};

template <class T>
struct Spread {  // Σ d and Σ d², d = x − center
  static constexpr int kCoefficients = 1, kSums = 2;
  const T* x;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    Vector d = get<kPartial>(x + at, lanes) - coefficient[0];
    if constexpr (kPartial) d = keep(d, lanes);
    sum[0] += d;
    sum[1] += d * d;
  }
};

template <class T>
struct Affine {  // y = act((x − center)·scale + offset + residual)
  static constexpr int kCoefficients = 3, kSums = 0;
  const T *x, *residual;  // residual may be null
  T* y;
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector*, int lanes) const {
    Vector z = (get<kPartial>(x + at, lanes) - coefficient[0]) * coefficient[1] + coefficient[2];
    if (residual) z += get<kPartial>(residual + at, lanes);
    put<kPartial>(y + at, activate(z, activation), lanes);
  }
};

template <class T>
struct GradientSums {  // S1 = Σ dz, S2 = Σ dz·(x − center)
  static constexpr int kCoefficients = 1, kSums = 2;
  const T *dy, *x, *pivot;
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    Vector dz = get<kPartial>(dy + at, lanes);
    if (activation != Activation::none)
      dz = through_activation(dz, get<kPartial>(pivot + at, lanes), activation);
    Vector product = dz * (get<kPartial>(x + at, lanes) - coefficient[0]);
    if constexpr (kPartial) dz = keep(dz, lanes), product = keep(product, lanes);
    sum[0] += dz;
    sum[1] += product;
  }
};

template <class T>
struct AffineBackward {  // dx = scale·dz + p·(x − center) + q, and dz
  static constexpr int kCoefficients = 4, kSums = 0;
  const T *dy, *x, *pivot;
  T *dx, *dz;  // dz may be null
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector*, int lanes) const {
    Vector g = get<kPartial>(dy + at, lanes);
    if (activation != Activation::none)
      g = through_activation(g, get<kPartial>(pivot + at, lanes), activation);
    const Vector d = get<kPartial>(x + at, lanes) - coefficient[0];
    put<kPartial>(dx + at, coefficient[1] * g + (coefficient[2] * d + coefficient[3]), lanes);
    if (dz) put<kPartial>(dz + at, g, lanes);
  }
};

// The same two where nothing of the forward pass is kept: the pre-activation is computed again as
// z = (x − center)·scale + offset + residual, which costs less than to read it from memory.

template <class T>
struct RecomputedSums {
  static constexpr int kCoefficients = 3, kSums = 2;  // center, scale, offset
  const T *dy, *x, *residual;                         // residual may be null
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    const Vector d = get<kPartial>(x + at, lanes) - coefficient[0];
    Vector z = d * coefficient[1] + coefficient[2];
    if (residual) z += get<kPartial>(residual + at, lanes);
    Vector dz = through_activation(get<kPartial>(dy + at, lanes), z, activation);
    Vector product = dz * d;
    if constexpr (kPartial) dz = keep(dz, lanes), product = keep(product, lanes);
    sum[0] += dz;
    sum[1] += product;
  }
};

template <class T>
struct RecomputedBackward {
  static constexpr int kCoefficients = 5, kSums = 0;  // center, scale, offset, p, q
  const T *dy, *x, *residual;
  T *dx, *dz;  // dz may be null
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector*, int lanes) const {
    const Vector d = get<kPartial>(x + at, lanes) - coefficient[0];
    Vector z = d * coefficient[1] + coefficient[2];
    if (residual) z += get<kPartial>(residual + at, lanes);
    const Vector g = through_activation(get<kPartial>(dy + at, lanes), z, activation);
    put<kPartial>(dx + at, coefficient[1] * g + (coefficient[3] * d + coefficient[4]), lanes);
    if (dz) put<kPartial>(dz + at, g, lanes);
  }
};

// One channel: the coefficients are numbers, and so are the sums.
template <class Operation>
__attribute__((noinline)) void sweep_plane(const Operation operation, int64_t size,
                                           const float* coefficients, float* sums) {
  constexpr int C = Operation::kCoefficients, S = Operation::kSums;
  Vector c[C + 1], s[kColumns][S + 1];
#pragma GCC unroll 8
  for (int i = 0; i < C; ++i) c[i] = splat(coefficients[i]);
#pragma GCC unroll 4
  for (int k = 0; k < kColumns; ++k)
#pragma GCC unroll 4
    for (int i = 0; i < S; ++i) s[k][i] = Vector{};
  int64_t at = 0;
  for (; at + kColumns * kLanes <= size; at += kColumns * kLanes)
#pragma GCC unroll 4
    for (int k = 0; k < kColumns; ++k)
      operation.template step<false>(at + k * kLanes, c, s[k], kLanes);
  for (; at + kLanes <= size; at += kLanes) operation.template step<false>(at, c, s[0], kLanes);
  if (at < size) operation.template step<true>(at, c, s[1], int(size - at));
#pragma GCC unroll 4
  for (int i = 0; i < S; ++i) sums[i] = sum_of_lanes((s[0][i] + s[1][i]) + (s[2][i] + s[3][i]));
}

// Many channels: the coefficients and sums of the channels lie side by side, in as many copies as
// fill whole registers, and a register meets the same ones again after a period.
struct Period {
  int64_t channels;
  int64_t copies = 1;
  int64_t width;   // channels·copies
  int64_t padded;  // width, rounded up to whole registers

  explicit Period(int64_t channels_) : channels(channels_) {
    if (channels > 1 && channels < kColumns * kLanes) {
      while (copies * channels % kLanes != 0) copies *= 2;
      while (copies * channels < kColumns * kLanes) copies *= 2;
    }
    width = channels * copies;
    padded = (width + kLanes - 1) / kLanes * kLanes;
  }

  // The copies behind the first one.
  void repeat(float* values) const {
    for (int64_t copy = 1; copy < copies; ++copy)
      std::copy_n(values, channels, values + copy * channels);
  }

  // The sum of the copies, in place of the first one.
  void fold(float* values) const {
    for (int64_t half = copies / 2; half > 0; half /= 2) {
      const int64_t count = half * channels;
      for (int64_t i = 0; i < count; ++i) values[i] += values[i + count];
    }
  }
};

// K registers side by side, down the rows.
template <int K, bool kPartial, class Operation>
NORMLAB_INLINE void column(const Operation& operation, int64_t at, int64_t rows, int64_t stride,
                           const float* coefficients, float* sums, int64_t padded, int lanes) {
  constexpr int C = Operation::kCoefficients, S = Operation::kSums;
  Vector c[K][C + 1], s[K][S + 1];
#pragma GCC unroll 4
  for (int k = 0; k < K; ++k) {
#pragma GCC unroll 8
    for (int i = 0; i < C; ++i) c[k][i] = load(coefficients + i * padded + k * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < S; ++i) s[k][i] = load(sums + i * padded + k * kLanes);
  }
  for (int64_t row = 0; row < rows; ++row, at += stride)
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k)
      operation.template step<kPartial>(at + k * kLanes, c[k], s[k], lanes);
#pragma GCC unroll 4
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int i = 0; i < S; ++i) store(sums + i * padded + k * kLanes, s[k][i]);
}

// `coefficients` and `sums` are arrays of padded values, one after another; the sums are added to.
template <class Operation>
__attribute__((noinline)) void sweep_rows(const Operation operation, int64_t start, int64_t rows,
                                          int64_t width, const Period& period,
                                          const float* coefficients, float* sums) {
  constexpr int kWide = kColumns * kLanes;
  const int64_t stride = period.width, padded = period.padded;
  int64_t v = 0;
  for (; v + kWide <= width; v += kWide)
    column<kColumns, false>(operation, start + v, rows, stride, coefficients + v, sums + v, padded,
                            kLanes);
  for (; v + kLanes <= width; v += kLanes)
    column<1, false>(operation, start + v, rows, stride, coefficients + v, sums + v, padded,
                     kLanes);
  if (v < width)
    column<1, true>(operation, start + v, rows, stride, coefficients + v, sums + v, padded,
                    int(width - v));
}

template <class Operation>
void sweep_pixels(const Operation& operation, int64_t pixels, const Period& period,
                  const float* coefficients, float* sums) {
  const int64_t rows = pixels / period.copies, rest = pixels % period.copies;
  std::fill_n(sums, Operation::kSums * period.padded, 0.0f);
  if (rows > 0) sweep_rows(operation, 0, rows, period.width, period, coefficients, sums);
  if (rest > 0)
    sweep_rows(operation, rows * period.width, 1, rest * period.channels, period, coefficients,
               sums);
  for (int i = 0; i < Operation::kSums; ++i) period.fold(sums + i * period.padded);
}

}  // namespace normlab
