// Norms that are no affine map of x (see ../curved.py): y = act(scale·f(x; a) + offset + residual)
// with f = tanh(a·x) (dynamic tanh) or f = x·σ(a·x) (EvoNorm-S0), and y = max(scale·x + offset +
// residual, a) (filter response normalization).

#pragma once

#include "tiles.h"

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
  const Vector far = splat(1.0f) - splat(2.0f) / (exponential(u + u) + 1.0f);
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
    Vector by_slope =
        this->curve == Curve::threshold ? g - dz : coefficient[1] * (dz * f.by_slope);
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

}  // namespace normlab
