// Batch normalization alone: between the sweeps there are C numbers, not N×C.
//
//   y = γ·(x − m)·r + β,     r = (s² + ε)^-½
//
// m and s² are the batch's, or fixed ones; then y is no more than one sweep, and so is the
// backward.

#pragma once

#include "fused_norm.h"

namespace normlab {

template <class T>
void batch_forward(const Geometry& g, const NormRule& b, const T* x, const T* residual,
                   Activation activation, T* y, const Rows& kept, float* mean, float* variance) {
  if (!b.fixed) {
    std::vector<float> planes(size_t(2 * b.samples * b.channels));
    float *means = planes.data(), *variances = means + b.samples * b.channels;
    statistics<T>(g, x, means, variances);
    merge_samples(b, means, variances, mean, variance);
  }
  for (int64_t c = 0; c < b.channels; ++c) {
    kept[kMean][c] = mean[c];
    kept[kVariance][c] = variance[c];
    kept[kScale][c] = float(b.gamma(c) * b.inverse(variance[c]));
    kept[kOffset][c] = b.bias ? b.bias[c] : 0.0f;
  }
  affine<T>(g, x, kept.values(kMean), kept.values(kScale), kept.values(kOffset), residual,
            activation, y);
}

// What GradientSums and AffineBackward do, where dx does not depend on the sums.
template <class T>
struct FixedBackward {
  static constexpr int kCoefficients = 3, kSums = 2;  // center, scale, offset
  const T *dy, *x, *residual;
  T *dx, *dz;  // dz may be null
  Activation activation;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    const Vector d = get<kPartial>(x + at, lanes) - coefficient[0];
    Vector g = get<kPartial>(dy + at, lanes);
    if (activation != Activation::none) {
      Vector z = d * coefficient[1] + coefficient[2];
      if (residual) z += get<kPartial>(residual + at, lanes);
      g = through_activation(g, z, activation);
    }
    put<kPartial>(dx + at, coefficient[1] * g, lanes);
    if (dz) put<kPartial>(dz + at, g, lanes);
    Vector product = g * d;
    if constexpr (kPartial) g = keep(g, lanes), product = keep(product, lanes);
    sum[0] += g;
    sum[1] += product;
  }
};

template <class T>
void batch_backward(const Geometry& g, const NormRule& b, const T* dy, const T* x,
                    const T* residual, Activation activation, const Rows& kept, T* dx, T* dz,
                    float* dweight, float* dbias) {
  const int64_t count = b.samples * b.channels;
  std::vector<float> memory(size_t(2 * count + kGradientRows * b.channels));
  float *s1 = memory.data(), *s2 = s1 + count;
  const Rows found{s2 + count, 1, b.channels};
  if (b.fixed) {
    const PlaneValues values[3] = {kept.values(kMean), kept.values(kScale), kept.values(kOffset)};
    const auto make = [=](int64_t k) {
      return FixedBackward<T>{dy + k, x + k, moved(residual, k), dx + k, moved(dz, k), activation};
    };
    sum_tiles(g, values, make, s1, s2);
  } else {
    gradient_sums<T>(g, dy, x, residual, activation, kept, 0, s1, s2);
  }
  std::vector<double> plain(size_t(b.channels)), centred(plain.size());
  for (int64_t i = 0, at = 0; i < b.samples; ++i)
    for (int64_t c = 0; c < b.channels; ++c, ++at) plain[c] += s1[at], centred[c] += s2[at];
  const double value = 1.0 / (double(b.samples) * double(b.pixels));
  for (int64_t c = 0; c < b.channels; ++c) {
    const double r = b.inverse(kept[kVariance][c]), share = b.gamma(c) * r;
    dweight[c] = float(r * centred[c]);
    dbias[c] = float(plain[c]);
    found[kP][c] = float(-r * r * share * centred[c] * value);
    found[kQ][c] = float(-share * plain[c] * value);
  }
  if (!b.fixed) gradients<T>(g, dy, x, residual, activation, kept, found, 0, dx, dz);
}

}  // namespace normlab
