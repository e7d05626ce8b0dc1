// The rule of the six main norms on N×C numbers, forward and backward in closed form.
//
//   y = γ·(ρ·(x − m_b)·r_b + (1 − ρ)·(x − m_g)·r_g) + β,     r = (s² + ε)^-½
//
// b: statistics of a channel over the batch, or fixed ones; g: of a group of channels of one
// sample. bn has b alone (ρ = 1), in, gn and ln have g alone (ρ = 0; C, G or 1 groups), bin both,
// and so has ibn (ρ = 0 or 1); rms is ln that is not centred.
// The backward is derived in docs/engine.md. Sums over samples and groups are float64, in a fixed
// order.

#pragma once

#include <cmath>

#include "tiles.h"

namespace normlab {

struct NormRule {
  int64_t samples, channels, pixels;
  int64_t groups;   // 0: no group part
  bool batch;       // with a batch part
  bool fixed;       // whose statistics do not depend on x
  bool centred;     // the group part; else it has m_g = 0 and the mean of x² in place of s²_g
  const float *weight, *bias, *gate;  // C, or null
  const float *batch_mean, *batch_variance;  // C
  float eps;
  std::vector<double> batch_share = {};

  double rho(int64_t c) const { return gate ? gate[c] : (batch ? 1.0 : 0.0); }
  double gamma(int64_t c) const { return weight ? weight[c] : 1.0; }
  double inverse(double variance) const { return 1.0 / std::sqrt(variance + double(eps)); }
  int64_t group_size() const { return groups ? channels / groups : 1; }
  bool by_channel() const { return batch && !groups && !gate; }  // see batch_norm.h
  bool by_sample() const { return !batch || fixed; }

  // Statistics of the union of `count` equally large planes.
  static void merge(const float* mean, const float* variance, int64_t count, int64_t stride,
                    double& m, double& v) {
    double means = 0, variances = 0, spread = 0;
    for (int64_t i = 0; i < count; ++i) means += mean[i * stride], variances += variance[i * stride];
    m = means / double(count);
    for (int64_t i = 0; i < count; ++i) {
      const double d = mean[i * stride] - m;
      spread += d * d;
    }
    v = (variances + spread) / double(count);
  }

  // ρ·r_b of every channel, so that no root is taken more than once.
  void prepare() {
    batch_share.resize(size_t(channels));
    for (int64_t c = 0; batch && c < channels; ++c)
      batch_share[c] = rho(c) * inverse(batch_variance[c]);
  }

  void group_statistics(const float* mean, const float* variance, int64_t at, double& m,
                        double& r) const {
    double v = 0;
    m = r = 0;
    if (!groups) return;
    if (groups == channels)
      m = mean[at], v = variance[at];
    else
      merge(mean + at, variance + at, group_size(), 1, m, v);
    if (!centred) v += m * m, m = 0;
    r = inverse(v);
  }

  // scale and offset of the planes [first, last) of sample i, whole groups.
  void forward(int64_t i, int64_t first, int64_t last, const float* mean, const float* variance,
               float* scale, float* offset) const {
    const int64_t size = group_size();
    for (int64_t start = first; start < last; start += size) {
      double m_g, r_g;
      group_statistics(mean, variance, i * channels + start, m_g, r_g);
      for (int64_t c = start; c < start + size; ++c) {
        const int64_t at = i * channels + c;
        const double own = groups ? (1 - rho(c)) * r_g : 0.0;
        double s = own, o = own * (mean[at] - m_g);
        if (batch) {
          s += batch_share[c];
          o += batch_share[c] * (double(mean[at]) - batch_mean[c]);
        }
        scale[at] = float(gamma(c) * s);
        offset[at] = float(gamma(c) * o + (bias ? bias[c] : 0.0));
      }
    }
  }

  // The group's part of p and q (set), and A = r_g·(S2 + S1·(μ − m_g)) for dγ and dρ.
  void backward_groups(int64_t i, int64_t first, int64_t last, const float* mean,
                       const float* variance, const float* s1, const float* s2,
                       const float* scale, float* p, float* q, double* own) const {
    const int64_t size = group_size();
    const double each = 1.0 / double(size), value = 1.0 / double(pixels);
    for (int64_t start = first; start < last; start += size) {
      double m_g, r_g, b = 0, d = 0;
      group_statistics(mean, variance, i * channels + start, m_g, r_g);
      for (int64_t c = start; groups && c < start + size; ++c) {
        const int64_t at = i * channels + c;
        const double share = gamma(c) * (1 - rho(c));
        const double t = s2[at] + double(s1[at]) * (mean[at] - m_g);
        own[at] = r_g * t;
        b += share * t;
        if (centred) d += share * s1[at];
      }
      const double p_g = -r_g * r_g * r_g * b * each * value;
      for (int64_t c = start; c < start + size; ++c) {
        const int64_t at = i * channels + c;
        const double share = groups ? gamma(c) * (1 - rho(c)) : 0.0;
        const double dmean = r_g * (share * s1[at] - d * each);
        p[at] = float(p_g);
        q[at] = float((dmean - double(scale[at]) * s1[at]) * value + p_g * (mean[at] - m_g));
      }
    }
  }

  // The batch's part of p and q (added), and the gradients of the parameters. Sample by sample, so
  // that memory is read in its order; every channel has its own sums.
  void backward_batch(const float* mean, const float* s1, const float* s2, const double* own,
                      float* p, float* q, float* dweight, float* dbias, float* dgate) const {
    std::vector<double> memory(size_t(4 * channels));
    double *b = memory.data(), *d = b + channels, *a = d + channels, *p_b = a + channels;
    for (int64_t i = 0; i < samples; ++i) {
      const int64_t at = i * channels;
      for (int64_t c = 0; c < channels; ++c) d[c] += s1[at + c];
      for (int64_t c = 0; batch && c < channels; ++c)
        b[c] += s2[at + c] + double(s1[at + c]) * (double(mean[at + c]) - batch_mean[c]);
      for (int64_t c = 0; groups && c < channels; ++c) a[c] += own[at + c];
    }
    for (int64_t c = 0; c < channels; ++c) {
      const double r_b = batch ? inverse(batch_variance[c]) : 0.0;
      dweight[c] = float(rho(c) * r_b * b[c] + (1 - rho(c)) * a[c]);
      dbias[c] = float(d[c]);
      dgate[c] = float(gamma(c) * (r_b * b[c] - a[c]));
      const double share = gamma(c) * rho(c) * r_b;
      p_b[c] = fixed ? 0.0 : -r_b * r_b * share * b[c] / (double(samples) * double(pixels));
      d[c] = fixed ? 0.0 : d[c] / double(samples);  // from here on the average
      a[c] = share;
    }
    const double value = 1.0 / double(pixels);
    for (int64_t i = 0; batch && i < samples; ++i)
      for (int64_t c = 0, at = i * channels; c < channels; ++c, ++at) {
        p[at] += float(p_b[c]);
        q[at] += float(a[c] * (s1[at] - d[c]) * value + p_b[c] * (double(mean[at]) - batch_mean[c]));
      }
  }
};

// Rows of an array of N×C numbers each.
struct Rows {
  float* data;
  int64_t samples, channels;
  float* operator[](int64_t row) const { return data + row * samples * channels; }
  // The values of one sample are those of all.
  PlaneValues values(int64_t row, int64_t at = 0) const {
    return {(*this)[row] + at, samples == 1 ? 0 : channels, 1};
  }
};
enum PlaneRow { kMean, kVariance, kScale, kOffset };  // what the forward keeps
enum GradientRow { kS1, kS2, kP, kQ, kOwn, kGradientRows = kOwn + 2 };  // kOwn is float64

// How a sample is cut so that a piece stays in the second cache between two sweeps: whole groups.
// `Rule` says how many samples, channels and pixels there are, and how many channels are a group.
template <class Rule>
int64_t channels_of_piece(const Rule& b, bool channels_last) {
  if (channels_last) return b.channels;
  const int64_t size = b.group_size(), values = size * b.pixels;
  return std::min(std::max<int64_t>(32768 / values, 1) * size, b.channels);
}

// work(piece's geometry, sample, first channel, last, offset into x) on every piece, in threads.
template <class Rule, class Work>
void for_pieces(const Rule& b, bool channels_last, const Work& work) {
  const int64_t size = channels_of_piece(b, channels_last);
  const int64_t pieces = (b.channels + size - 1) / size;
  const int64_t grain = std::max<int64_t>(kValuesPerTask / (size * b.pixels), 1);
  torch::stable::parallel_for(0, b.samples * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t sample = k / pieces, first = k % pieces * size;
      const int64_t last = std::min(b.channels, first + size);
      work(Geometry(1, last - first, b.pixels, channels_last), sample, first, last,
           (sample * b.channels + first) * b.pixels);
    }
  });
}

// One sample has one piece in channels_last memory: then the sweeps share it out by tiles.
template <class Rule>
bool in_pieces(const Rule& b, bool channels_last) {
  return b.samples > 1 || !channels_last;
}

// The statistics of every channel over the samples, which are equally large; m and v are 0 before.
inline void merge_samples(int64_t samples, int64_t channels, const float* mean,
                          const float* variance, double* m, double* v) {
  const double each = 1.0 / double(samples);
  for (int64_t i = 0, at = 0; i < samples; ++i)
    for (int64_t c = 0; c < channels; ++c, ++at) m[c] += mean[at];
  for (int64_t c = 0; c < channels; ++c) m[c] *= each;
  for (int64_t i = 0, at = 0; i < samples; ++i)
    for (int64_t c = 0; c < channels; ++c, ++at) {
      const double d = mean[at] - m[c];
      v[c] += variance[at] + d * d;
    }
  for (int64_t c = 0; c < channels; ++c) v[c] *= each;
}

inline void merge_samples(const NormRule& b, const float* mean, const float* variance,
                          float* batch_mean, float* batch_variance) {
  std::vector<double> memory(size_t(2 * b.channels));
  double *m = memory.data(), *v = m + b.channels;
  merge_samples(b.samples, b.channels, mean, variance, m, v);
  std::copy_n(m, b.channels, batch_mean);
  std::copy_n(v, b.channels, batch_variance);
}

template <class T>
void fused_forward(const Geometry& g, bool channels_last, NormRule& b, const T* x,
                   const T* residual, Activation activation, T* y, const Rows& planes,
                   float* batch_mean, float* batch_variance) {
  float *mean = planes[kMean], *variance = planes[kVariance];
  if (b.by_sample()) b.prepare();
  if (b.by_sample() && in_pieces(b, channels_last)) {
    for_pieces(b, channels_last,
               [&](const Geometry& piece, int64_t i, int64_t first, int64_t last, int64_t start) {
                 const int64_t at = i * b.channels + first;
                 statistics<T>(piece, x + start, mean + at, variance + at);
                 b.forward(i, first, last, mean, variance, planes[kScale], planes[kOffset]);
                 affine<T>(piece, x + start, planes.values(kMean, at), planes.values(kScale, at),
                           planes.values(kOffset, at), moved(residual, start), activation,
                           y + start);
               });
    return;
  }
  statistics<T>(g, x, mean, variance);
  if (!b.by_sample()) {
    merge_samples(b, mean, variance, batch_mean, batch_variance);
    b.prepare();
  }
  for (int64_t i = 0; i < b.samples; ++i)
    b.forward(i, 0, b.channels, mean, variance, planes[kScale], planes[kOffset]);
  affine<T>(g, x, planes.values(kMean), planes.values(kScale), planes.values(kOffset), residual,
            activation, y);
}

template <class T>
void gradient_sums(const Geometry& g, const T* dy, const T* x, const T* residual,
                   Activation activation, const Rows& planes, int64_t at, float* s1, float* s2) {
  if (activation == Activation::none)
    return sums<T>(g, dy, x, planes.values(kMean, at), nullptr, activation, s1, s2);
  const PlaneValues values[3] = {planes.values(kMean, at), planes.values(kScale, at),
                                 planes.values(kOffset, at)};
  const auto make = [=](int64_t k) {
    return RecomputedSums<T>{dy + k, x + k, moved(residual, k), activation};
  };
  sum_tiles(g, values, make, s1, s2);
}

template <class T>
void gradients(const Geometry& g, const T* dy, const T* x, const T* residual,
               Activation activation, const Rows& planes, const Rows& found, int64_t at, T* dx,
               T* dz) {
  if (activation == Activation::none)
    return affine_backward<T>(g, dy, x, planes.values(kMean, at), nullptr,
                              planes.values(kScale, at), found.values(kP, at),
                              found.values(kQ, at), activation, dx, dz);
  const PlaneValues values[5] = {planes.values(kMean, at), planes.values(kScale, at),
                                 planes.values(kOffset, at), found.values(kP, at),
                                 found.values(kQ, at)};
  map_tiles(g, values, [=](int64_t k) {
    return RecomputedBackward<T>{dy + k, x + k,      moved(residual, k),
                                 dx + k, moved(dz, k), activation};
  });
}

template <class T>
void fused_backward(const Geometry& g, bool channels_last, const NormRule& b, const T* dy, const T* x,
                    const T* residual, Activation activation, const Rows& planes,
                    const Rows& found, T* dx, T* dz, float* dweight, float* dbias, float* dgate) {
  const float *mean = planes[kMean], *variance = planes[kVariance], *scale = planes[kScale];
  float *s1 = found[kS1], *s2 = found[kS2], *p = found[kP], *q = found[kQ];
  double* own = reinterpret_cast<double*>(found[kOwn]);
  if (!b.batch && in_pieces(b, channels_last)) {
    for_pieces(b, channels_last,
               [&](const Geometry& piece, int64_t i, int64_t first, int64_t last, int64_t start) {
                 const int64_t at = i * b.channels + first;
                 gradient_sums<T>(piece, dy + start, x + start, moved(residual, start), activation,
                                  planes, at, s1 + at, s2 + at);
                 b.backward_groups(i, first, last, mean, variance, s1, s2, scale, p, q, own);
                 gradients<T>(piece, dy + start, x + start, moved(residual, start), activation,
                              planes, found, at, dx + start, moved(dz, start));
               });
    b.backward_batch(mean, s1, s2, own, p, q, dweight, dbias, dgate);
    return;
  }
  gradient_sums<T>(g, dy, x, residual, activation, planes, 0, s1, s2);
  for (int64_t i = 0; i < b.samples; ++i)
    b.backward_groups(i, 0, b.channels, mean, variance, s1, s2, scale, p, q, own);
  b.backward_batch(mean, s1, s2, own, p, q, dweight, dbias, dgate);
  gradients<T>(g, dy, x, residual, activation, planes, found, 0, dx, dz);
}

}  // namespace normlab
