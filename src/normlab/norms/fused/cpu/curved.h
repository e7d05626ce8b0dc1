// Norms that are no affine map of x (see ../curved.py): y = act(scale·f(x; a) + offset + residual)
// with f = tanh(a·x) (dynamic tanh) or f = x·σ(a·x) (EvoNorm-S0), and y = max(scale·x + offset +
// residual, a) (filter response normalization).

#pragma once

#include "fused_norm.h"

namespace normlab {

enum class Curve { tanh, swish, threshold };

// To about 2 units in the last place: a polynomial (Cephes) where 1 − 2/(e^2u + 1) would cancel.
NORMLAB_INLINE Vector hyperbolic_tangent(Vector u) {
  const Vector square = u * u;
  Vector p = splat(-5.70498872745e-3f);
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  const Vector near_zero = u + u * (square * p);
  const Vector far = splat(1.0f) - inverse_of_successor(exponential(u + u)) * 2.0f;
  return square < 0.390625f ? near_zero : far;
}

// f and its derivatives by x and by a.
struct Bend {
  Vector value, by_x, by_slope;
};

NORMLAB_INLINE Vector bent(Vector x, Vector slope, Curve curve) {
  switch (curve) {
    case Curve::tanh:
      return hyperbolic_tangent(slope * x);
    case Curve::swish:
      return x * sigmoid(slope * x);
    case Curve::threshold:
      return x;
  }
  __builtin_unreachable();
}

NORMLAB_INLINE Bend bend(Vector x, Vector slope, Curve curve) {
  switch (curve) {
    case Curve::tanh: {
      const Vector t = hyperbolic_tangent(slope * x), rest = splat(1.0f) - t * t;
      return {t, slope * rest, x * rest};
    }
    case Curve::swish: {
      const Vector s = sigmoid(slope * x), product = x * s, rest = splat(1.0f) - s;
      return {product, s + slope * (product * rest), x * (product * rest)};
    }
    case Curve::threshold:
      return {x, splat(1.0f), Vector{}};
  }
  __builtin_unreachable();
}

template <class T>
struct Curved {
  static constexpr int kCoefficients = 3, kSums = 0;  // slope, scale, offset
  const T *x, *residual;                              // residual may be null
  T* y;
  Activation activation;
  Curve curve;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector*, int lanes) const {
    Vector z = bent(get<kPartial>(x + at, lanes), coefficient[0], curve);
    z = z * coefficient[1] + coefficient[2];
    if (residual) z += get<kPartial>(residual + at, lanes);
    z = curve == Curve::threshold ? (z < coefficient[0] ? coefficient[0] : z)
                                  : activate(z, activation);
    put<kPartial>(y + at, z, lanes);
  }
};

template <class T>
struct CurvedGradient {  // what both sweeps of the backward begin with
  const T *dy, *x, *residual;
  Activation activation;
  Curve curve;

  // dz, from dy.
  template <bool kPartial>
  NORMLAB_INLINE Vector through(Vector g, int64_t at, const Bend& f, const Vector* coefficient,
                                int lanes) const {
    if (activation == Activation::none && curve != Curve::threshold) return g;
    Vector z = f.value * coefficient[1] + coefficient[2];
    if (residual) z += get<kPartial>(residual + at, lanes);
    if (curve == Curve::threshold) return z > coefficient[0] ? g : Vector{};
    return through_activation(g, z, activation);
  }
};

template <class T>
struct CurvedSums : CurvedGradient<T> {  // Σ dz, Σ dz·f, and Σ dy·∂y/∂a
  static constexpr int kCoefficients = 3, kSums = 3;

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    const Bend f = bend(get<kPartial>(this->x + at, lanes), coefficient[0], this->curve);
    const Vector g = get<kPartial>(this->dy + at, lanes);
    Vector dz = this->template through<kPartial>(g, at, f, coefficient, lanes);
    Vector by_scale = dz * f.value;
    Vector by_slope = this->curve == Curve::threshold ? g - dz : coefficient[1] * (dz * f.by_slope);
    if constexpr (kPartial)
      dz = keep(dz, lanes), by_scale = keep(by_scale, lanes), by_slope = keep(by_slope, lanes);
    sum[0] += dz;
    sum[1] += by_scale;
    sum[2] += by_slope;
  }
};

template <class T>
struct CurvedBackward : CurvedGradient<T> {  // dx = scale·dz·∂f/∂x + p·(x − center) + q, and dz
  static constexpr int kCoefficients = 6, kSums = 0;  // slope, scale, offset, center, p, q
  T *dx, *dz;                                         // dz may be null

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector*, int lanes) const {
    const Vector value = get<kPartial>(this->x + at, lanes);
    const Bend f = bend(value, coefficient[0], this->curve);
    const Vector dy_ = get<kPartial>(this->dy + at, lanes);
    const Vector g = this->template through<kPartial>(dy_, at, f, coefficient, lanes);
    const Vector d = value - coefficient[3];
    put<kPartial>(dx + at, coefficient[1] * (g * f.by_x) + (coefficient[4] * d + coefficient[5]),
                  lanes);
    if (dz) put<kPartial>(dz + at, g, lanes);
  }
};

template <class T>
struct CurvedAtOnce
    : CurvedGradient<T> {  // both where nothing depends on the sums: dx = scale·dz·∂f/∂x
  static constexpr int kCoefficients = 3, kSums = 3;
  T *dx, *dz;  // dz may be null

  template <bool kPartial>
  NORMLAB_INLINE void step(int64_t at, const Vector* coefficient, Vector* sum, int lanes) const {
    const Bend f = bend(get<kPartial>(this->x + at, lanes), coefficient[0], this->curve);
    const Vector dy_ = get<kPartial>(this->dy + at, lanes);
    Vector g = this->template through<kPartial>(dy_, at, f, coefficient, lanes);
    put<kPartial>(dx + at, coefficient[1] * (g * f.by_x), lanes);
    if (dz) put<kPartial>(dz + at, g, lanes);
    Vector by_scale = g * f.value, by_slope = coefficient[1] * (g * f.by_slope);
    if constexpr (kPartial)
      g = keep(g, lanes), by_scale = keep(by_scale, lanes), by_slope = keep(by_slope, lanes);
    sum[0] += g;
    sum[1] += by_scale;
    sum[2] += by_slope;
  }
};

// As many sums a plane as the operation has, N×C numbers each.
template <class Operation, int C, class Make>
void total_tiles(const Geometry& g, const PlaneValues (&values)[C], const Make& make,
                 float* const (&totals)[Operation::kSums]) {
  constexpr int S = Operation::kSums;
  const int64_t cells = g.samples * g.tiles * g.channels;
  std::vector<double> partial(size_t(S * cells));
  for_tiles(g, C + S, [&](int64_t sample, int64_t begin, int64_t end, float* coefficients) {
    float* sums = coefficients + C * apart(g);
    lay_out(values, sample, g, coefficients);
    for (int64_t tile = begin; tile < end; ++tile) {
      sweep(make(g.start_of(sample, tile)), g.rows_of(tile), g, coefficients, sums);
      for (int i = 0; i < S; ++i)
        std::copy_n(sums + i * apart(g), g.channels,
                    partial.data() + i * cells + (sample * g.tiles + tile) * g.channels);
    }
  });
  for (int i = 0; i < S; ++i)
    for (int64_t sample = 0; sample < g.samples; ++sample)
      for (int64_t c = 0; c < g.channels; ++c) {
        double total = 0;
        for (int64_t tile = 0; tile < g.tiles; ++tile)
          total += partial[size_t(i * cells + (sample * g.tiles + tile) * g.channels + c)];
        totals[i][sample * g.channels + c] = float(total);
      }
}

// What the scale is, for every plane of a sample by itself:
//   constant   γ
//   response   γ/√(v + μ² + ε)                     filter response normalization
//   deviation  γ/√(s² + ε), s² of a group          EvoNorm-S0
struct ScaleRule {
  enum Kind { constant, response, deviation };
  int64_t samples, channels, pixels;
  int64_t groups;  // of a deviation
  Kind kind;
  double eps;
  const float *slope, *weight, *bias;  // C; a slope of 1 number is that of all channels
  int64_t slope_stride;

  int64_t group_size() const { return kind == deviation ? channels / groups : 1; }

  // m and 1/√(s² + ε) of the planes from `at` on.
  void group_statistics(const float* mean, const float* variance, double& m, double& r) const {
    double v = double(variance[0]) + double(mean[0]) * mean[0];
    m = 0;
    if (kind == deviation) NormRule::merge(mean, variance, group_size(), 1, m, v);
    r = 1.0 / std::sqrt(v + eps);
  }

  // scale of the channels [first, last) of sample i, whole groups.
  void forward(int64_t i, int64_t first, int64_t last, const Rows& planes) const {
    const int64_t size = group_size();
    for (int64_t start = first; start < last; start += size) {
      const int64_t at = i * channels + start;
      double m, r;
      group_statistics(planes[kMean] + at, planes[kVariance] + at, m, r);
      for (int64_t k = 0; k < size; ++k) planes[kScale][at + k] = float(weight[start + k] * r);
    }
  }

  // p and q, and dγ of this sample, by dL/dscale (S2).
  void backward(int64_t i, int64_t first, int64_t last, const Rows& planes, const float* s2,
                float* p, float* q, float* by_weight) const {
    const int64_t size = group_size();
    for (int64_t start = first; start < last; start += size) {
      const int64_t at = i * channels + start;
      double m, r, total = 0;
      group_statistics(planes[kMean] + at, planes[kVariance] + at, m, r);
      for (int64_t k = 0; k < size; ++k) {
        total += double(weight[start + k]) * s2[at + k];
        by_weight[at + k] = float(r * s2[at + k]);
      }
      const double share = -r * r * r * total / (double(size) * double(pixels));
      for (int64_t k = 0; k < size; ++k) {
        p[at + k] = float(share);
        q[at + k] = float(share * (planes[kMean][at + k] - m));
      }
    }
  }

  // slope, scale and offset of the planes from `at` on, for the sweeps.
  PlaneValues slopes(int64_t first) const {
    return {slope + first * slope_stride, 0, slope_stride};
  }
  PlaneValues offsets(int64_t first) const { return {bias + first, 0, 1}; }
  PlaneValues scales(const Rows& planes, int64_t at, int64_t first) const {
    return kind == constant ? PlaneValues{weight + first, 0, 1} : planes.values(kScale, at);
  }
};

template <class T>
void curved_forward(const Geometry& g, const ScaleRule& b, const T* x, const T* residual,
                    Activation activation, Curve curve, T* y, const Rows& planes) {
  const auto write = [&](const Geometry& piece, int64_t at, int64_t first, int64_t start) {
    const PlaneValues values[3] = {b.slopes(first), b.scales(planes, at, first), b.offsets(first)};
    map_tiles(piece, values, [=](int64_t k) {
      return Curved<T>{x + start + k, moved(residual, start + k), y + start + k, activation, curve};
    });
  };
  const bool channels_last = g.channels != 1;
  if (b.kind == ScaleRule::constant) return write(g, 0, 0, 0);
  if (in_pieces(b, channels_last))
    return for_pieces(
        b, channels_last,
        [&](const Geometry& piece, int64_t i, int64_t first, int64_t last, int64_t start) {
          const int64_t at = i * b.channels + first;
          statistics<T>(piece, x + start, planes[kMean] + at, planes[kVariance] + at);
          b.forward(i, first, last, planes);
          write(piece, at, first, start);
        });
  statistics<T>(g, x, planes[kMean], planes[kVariance]);
  for (int64_t i = 0; i < b.samples; ++i) b.forward(i, 0, b.channels, planes);
  write(g, 0, 0, 0);
}

enum CurvedRow { kByOffset, kByScale, kBySlope, kCurvedP, kCurvedQ, kByWeight, kCurvedRows };

// The gradients of slope, weight and bias are sums over the samples of rows of `found`.
template <class T>
void curved_backward(const Geometry& g, const ScaleRule& b, const T* dy, const T* x,
                     const T* residual, Activation activation, Curve curve, const Rows& planes,
                     const Rows& found, T* dx, T* dz) {
  const auto gradient = [=](int64_t k) {
    return CurvedGradient<T>{dy + k, x + k, moved(residual, k), activation, curve};
  };
  if (b.kind == ScaleRule::constant) {
    const PlaneValues values[3] = {b.slopes(0), b.scales(planes, 0, 0), b.offsets(0)};
    float* const totals[3] = {found[kByOffset], found[kByScale], found[kBySlope]};
    return total_tiles<CurvedAtOnce<T>>(
        g, values, [=](int64_t k) { return CurvedAtOnce<T>{gradient(k), dx + k, moved(dz, k)}; },
        totals);
  }
  const auto work = [&](const Geometry& piece, int64_t i, int64_t first, int64_t last,
                        int64_t start) {
    const int64_t at = i * b.channels + first;
    const PlaneValues slope = b.slopes(first), scale = b.scales(planes, at, first),
                      offset = b.offsets(first);
    const PlaneValues values[3] = {slope, scale, offset};
    float* const totals[3] = {found[kByOffset] + at, found[kByScale] + at, found[kBySlope] + at};
    total_tiles<CurvedSums<T>>(
        piece, values, [=](int64_t k) { return CurvedSums<T>{gradient(start + k)}; }, totals);
    b.backward(i, first, last, planes, found[kByScale], found[kCurvedP], found[kCurvedQ],
               found[kByWeight]);
    const PlaneValues all[6] = {slope,
                                scale,
                                offset,
                                planes.values(kMean, at),
                                found.values(kCurvedP, at),
                                found.values(kCurvedQ, at)};
    map_tiles(piece, all, [=](int64_t k) {
      return CurvedBackward<T>{gradient(start + k), dx + start + k, moved(dz, start + k)};
    });
  };
  const bool channels_last = g.channels != 1;
  if (in_pieces(b, channels_last)) return for_pieces(b, channels_last, work);
  work(g, 0, 0, b.channels, 0);  // one sample
}

// Σ over the samples of a row of N×C numbers; to one number where the stride is 0.
inline void sum_samples(const float* from, const ScaleRule& b, int64_t stride, float* to) {
  std::vector<double> sums(size_t(b.channels));
  for (int64_t i = 0, at = 0; i < b.samples; ++i)
    for (int64_t c = 0; c < b.channels; ++c, ++at) sums[c * stride] += from[at];
  std::copy_n(sums.begin(), stride ? b.channels : 1, to);
}

}  // namespace normlab
