// The rules of further norms on N×C numbers (../../functional/rules.py), and their derivatives
// written out.
//
// A rule makes scale and offset of the mean μ and variance v of every plane; by dL/dscale (S2) and
// dL/doffset (S1) it gives p and q of the sweep dx = scale·dz + p·(x − μ) + q (../../functional/
// engine.py), p = 2·dv/M, q = (dμ − scale·S1)/M. One that is kBySample looks at one sample at a
// time. All sums are float64, in a fixed order.

#pragma once

#include <limits>

#include "fused_norm.h"

namespace normlab {

using Doubles = std::vector<double>;

struct RuleInputs {
  int64_t samples, channels, pixels;  // N, C, M
  const float *mean, *variance;       // N×C
  const float *weight, *bias;         // C, or null
  const float *first, *second;        // what else the rule has
  double eps, number, other_number;

  int64_t group_size() const { return channels; }

  // The sample i alone.
  RuleInputs of_sample(int64_t i) const {
    RuleInputs one = *this;
    one.samples = 1;
    one.mean += i * channels;
    one.variance += i * channels;
    return one;
  }

  double gamma(int64_t c) const { return weight ? weight[c] : 1.0; }
  double beta(int64_t c) const { return bias ? bias[c] : 0.0; }
  double inverse(double variance_) const { return 1.0 / std::sqrt(variance_ + eps); }

  // work(place, channel) down all planes, sample by sample.
  template <class Work>
  void each(const Work& work) const {
    for (int64_t i = 0, at = 0; i < samples; ++i)
      for (int64_t c = 0; c < channels; ++c, ++at) work(at, c);
  }
};

struct RuleGradients {
  float *p, *q;           // N×C
  float *weight, *bias;   // C
  float *first, *second;  // of the parameters there; null where they are none

  RuleGradients of_sample(int64_t i, int64_t channels, float* weights, float* biases) const {
    return {p + i * channels,
            q + i * channels,
            weights + i * channels,
            biases + i * channels,
            first,
            second};
  }

  void of_parameters(const Doubles& weights, const Doubles& biases) const {
    std::copy(weights.begin(), weights.end(), weight);
    std::copy(biases.begin(), biases.end(), bias);
  }
};

// Mean and variance of the union of the planes of every channel over the batch, or of every sample.
struct Merged {
  Doubles mean, variance;

  static Merged over_batch(const RuleInputs& in) {
    Merged all{Doubles(size_t(in.channels)), Doubles(size_t(in.channels))};
    merge_samples(in.samples, in.channels, in.mean, in.variance, all.mean.data(),
                  all.variance.data());
    return all;
  }

  static Merged over_channels(const RuleInputs& in) {
    Merged all{Doubles(size_t(in.samples)), Doubles(size_t(in.samples))};
    for (int64_t i = 0; i < in.samples; ++i)
      NormRule::merge(in.mean + i * in.channels, in.variance + i * in.channels, in.channels, 1,
                      all.mean[i], all.variance[i]);
    return all;
  }
};

// Batch renormalization: γ·(x̂·r + d) + β; first, second: the running mean and variance, which are
// constants, and so are r and d; numbers: r_max, d_max.
struct BatchRenorm {
  static constexpr bool kBySample = false;
  const RuleInputs& in;
  const Merged batch = Merged::over_batch(in);

  double sigma(int64_t c) const { return std::sqrt(double(in.second[c]) + in.eps); }
  double r(int64_t c) const {
    const double ratio = std::sqrt(batch.variance[c] + in.eps) / sigma(c);
    return std::clamp(ratio, 1.0 / in.number, in.number);
  }
  double d(int64_t c) const {
    const double distance = (batch.mean[c] - in.first[c]) / sigma(c);
    return std::clamp(distance, -in.other_number, in.other_number);
  }

  void forward(float* scale, float* offset) const {
    Doubles s(size_t(in.channels)), o(s.size());
    for (int64_t c = 0; c < in.channels; ++c) {
      s[c] = in.gamma(c) * in.inverse(batch.variance[c]) * r(c);
      o[c] = in.gamma(c) * d(c) + in.beta(c);
    }
    in.each([&](int64_t at, int64_t c) {
      scale[at] = float(s[c]);
      offset[at] = float(s[c] * (in.mean[at] - batch.mean[c]) + o[c]);
    });
  }

  void backward(const float* s1, const float* s2, const RuleGradients& found) const {
    Doubles centred(size_t(in.channels)), plain(centred.size()), weight(centred.size());
    Doubles p(centred.size()), q(centred.size());
    in.each([&](int64_t at, int64_t c) {
      plain[c] += s1[at];
      centred[c] += s2[at] + double(s1[at]) * (in.mean[at] - batch.mean[c]);
    });
    const double value = 1.0 / (double(in.samples) * double(in.pixels));
    for (int64_t c = 0; c < in.channels; ++c) {
      const double inverse = in.inverse(batch.variance[c]), share = in.gamma(c) * r(c) * inverse;
      weight[c] = r(c) * inverse * centred[c] + d(c) * plain[c];
      p[c] = -inverse * inverse * share * centred[c] * value;
      q[c] = -share * plain[c] * value;
    }
    in.each([&](int64_t at, int64_t c) {
      found.p[at] = float(p[c]);
      found.q[at] = float(q[c] + p[c] * (in.mean[at] - batch.mean[c]));
    });
    found.of_parameters(weight, plain);
  }
};

// Switchable normalization: m and s² are means of those of instance, layer and batch, weighted by
// the softmax of first and of second, three numbers each.
struct Switchable {
  static constexpr bool kBySample = false;
  const RuleInputs& in;
  const Merged batch = Merged::over_batch(in), layer = Merged::over_channels(in);
  double w[3], u[3];

  explicit Switchable(const RuleInputs& inputs) : in(inputs) {
    softmax(in.first, w);
    softmax(in.second, u);
  }

  static void softmax(const float* from, double* to) {
    const double largest = std::max({from[0], from[1], from[2]});
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += to[k] = std::exp(double(from[k]) - largest);
    for (int k = 0; k < 3; ++k) to[k] /= sum;
  }

  // dL/d(logits) by dL/d(shares).
  static void through_softmax(const double* share, const double* by, float* to) {
    const double mean = share[0] * by[0] + share[1] * by[1] + share[2] * by[2];
    for (int k = 0; k < 3; ++k) to[k] = float(share[k] * (by[k] - mean));
  }

  double center(int64_t at, int64_t i, int64_t c) const {
    return w[0] * in.mean[at] + w[1] * layer.mean[i] + w[2] * batch.mean[c];
  }
  double inverse(int64_t at, int64_t i, int64_t c) const {
    return in.inverse(u[0] * in.variance[at] + u[1] * layer.variance[i] + u[2] * batch.variance[c]);
  }

  void forward(float* scale, float* offset) const {
    in.each([&](int64_t at, int64_t c) {
      const int64_t i = at / in.channels;
      const double s = in.gamma(c) * inverse(at, i, c);
      scale[at] = float(s);
      offset[at] = float(s * (in.mean[at] - center(at, i, c)) + in.beta(c));
    });
  }

  void backward(const float* s1, const float* s2, const RuleGradients& found) const {
    const size_t n = size_t(in.samples), c_ = size_t(in.channels);
    Doubles weight(c_), bias(c_), dm(n * c_), ds(n * c_), dm_batch(c_), ds_batch(c_), dm_layer(n),
        ds_layer(n);
    double dw[3] = {}, du[3] = {};
    in.each([&](int64_t at, int64_t c) {
      const int64_t i = at / in.channels;
      const double r = inverse(at, i, c), t = s2[at] + s1[at] * (in.mean[at] - center(at, i, c));
      weight[c] += r * t;
      bias[c] += s1[at];
      dm[at] = -in.gamma(c) * r * s1[at];
      ds[at] = -0.5 * r * r * r * in.gamma(c) * t;
      dm_batch[c] += dm[at], ds_batch[c] += ds[at];
      dm_layer[i] += dm[at], ds_layer[i] += ds[at];
      const double means[3] = {in.mean[at], layer.mean[i], batch.mean[c]};
      const double variances[3] = {in.variance[at], layer.variance[i], batch.variance[c]};
      for (int k = 0; k < 3; ++k) dw[k] += dm[at] * means[k], du[k] += ds[at] * variances[k];
    });
    const double of_layer = 1.0 / double(c_), of_batch = 1.0 / double(n),
                 value = 1.0 / double(in.pixels);
    in.each([&](int64_t at, int64_t c) {
      const int64_t i = at / in.channels;
      const double by_layer = u[1] * ds_layer[i] * of_layer,
                   by_batch = u[2] * ds_batch[c] * of_batch;
      found.p[at] = float(2 * (u[0] * ds[at] + by_layer + by_batch) * value);
      found.q[at] =
          float((w[0] * dm[at] + w[1] * dm_layer[i] * of_layer + w[2] * dm_batch[c] * of_batch +
                 2 * by_layer * (in.mean[at] - layer.mean[i]) +
                 2 * by_batch * (in.mean[at] - batch.mean[c])) *
                value);
    });
    found.of_parameters(weight, bias);
    through_softmax(w, dw, found.first);
    through_softmax(u, du, found.second);
  }
};

// Global response: scale = γ·g/ḡ + 1, offset = scale·μ + β, g = √(M·(v + μ²)), ḡ = mean_c g + ε.
struct GlobalResponse {
  static constexpr bool kBySample = true;
  const RuleInputs& in;

  double squares(int64_t at) const {
    return double(in.pixels) * (in.variance[at] + double(in.mean[at]) * in.mean[at]);
  }
  double length(int64_t at) const {
    return std::sqrt(std::max(squares(at), double(std::numeric_limits<float>::min())));
  }
  Doubles averages() const {
    Doubles all(size_t(in.samples));
    in.each([&](int64_t at, int64_t) { all[at / in.channels] += length(at); });
    for (double& average : all) average = average / double(in.channels) + in.eps;
    return all;
  }

  void forward(float* scale, float* offset) const {
    const Doubles average = averages();
    in.each([&](int64_t at, int64_t c) {
      const double s = in.gamma(c) * length(at) / average[at / in.channels] + 1.0;
      scale[at] = float(s);
      offset[at] = float(s * in.mean[at] + in.beta(c));
    });
  }

  void backward(const float* s1, const float* s2, const RuleGradients& found) const {
    const Doubles average = averages();
    Doubles weight(size_t(in.channels)), bias(weight.size()), product(size_t(in.samples));
    in.each([&](int64_t at, int64_t c) {
      const int64_t i = at / in.channels;
      const double t = s2[at] + double(s1[at]) * in.mean[at], g = length(at);
      weight[c] += t * g / average[i];
      bias[c] += s1[at];
      product[i] += in.gamma(c) * t * g;
    });
    in.each([&](int64_t at, int64_t c) {
      const int64_t i = at / in.channels;
      const double t = s2[at] + double(s1[at]) * in.mean[at], g = length(at);
      const double by_length = in.gamma(c) * t / average[i] -
                               product[i] / (average[i] * average[i] * double(in.channels));
      const bool flat = squares(at) < double(std::numeric_limits<float>::min());
      const double by_square = flat ? 0.0 : by_length / (2 * g);
      found.p[at] = float(2 * by_square);
      found.q[at] = float(2 * in.mean[at] * by_square);
    });
    found.of_parameters(weight, bias);
  }
};

// Rule: one of those above, made of its inputs. `batch` gets the mean and variance of every channel
// over the batch, of a rule that looks at them.
template <class Rule, class T>
void closed_forward(const Geometry& g, const RuleInputs& in, const T* x, const T* residual,
                    Activation activation, T* y, const Rows& planes, float* batch) {
  float *mean = planes[kMean], *variance = planes[kVariance];
  float *scale = planes[kScale], *offset = planes[kOffset];
  const bool channels_last = g.channels != 1;
  if (Rule::kBySample && in_pieces(in, channels_last))
    return for_pieces(
        in, channels_last, [&](const Geometry& one, int64_t i, int64_t, int64_t, int64_t start) {
          const int64_t at = i * in.channels;
          statistics<T>(one, x + start, mean + at, variance + at);
          const RuleInputs own = in.of_sample(i);
          Rule{own}.forward(scale + at, offset + at);
          affine<T>(one, x + start, planes.values(kMean, at), planes.values(kScale, at),
                    planes.values(kOffset, at), moved(residual, start), activation, y + start);
        });
  statistics<T>(g, x, mean, variance);
  const Rule rule{in};
  rule.forward(scale, offset);
  if constexpr (!Rule::kBySample) {
    std::copy(rule.batch.mean.begin(), rule.batch.mean.end(), batch);
    std::copy(rule.batch.variance.begin(), rule.batch.variance.end(), batch + in.channels);
  }
  affine<T>(g, x, planes.values(kMean), planes.values(kScale), planes.values(kOffset), residual,
            activation, y);
}

template <class Rule, class T>
void closed_backward(const Geometry& g, const RuleInputs& in, const T* dy, const T* x,
                     const T* residual, Activation activation, const Rows& planes, const Rows& sums,
                     const RuleGradients& found, T* dx, T* dz) {
  float *s1 = sums[kS1], *s2 = sums[kS2];
  const bool channels_last = g.channels != 1;
  if (Rule::kBySample && in_pieces(in, channels_last)) {
    const size_t count = size_t(in.samples * in.channels);
    std::vector<float> weights(count), biases(count);
    for_pieces(in, channels_last,
               [&](const Geometry& one, int64_t i, int64_t, int64_t, int64_t start) {
                 const int64_t at = i * in.channels;
                 gradient_sums<T>(one, dy + start, x + start, moved(residual, start), activation,
                                  planes, at, s1 + at, s2 + at);
                 const RuleInputs own = in.of_sample(i);
                 Rule{own}.backward(s1 + at, s2 + at,
                                    found.of_sample(i, in.channels, weights.data(), biases.data()));
                 gradients<T>(one, dy + start, x + start, moved(residual, start), activation,
                              planes, sums, at, dx + start, moved(dz, start));
               });
    Doubles weight(size_t(in.channels)), bias(weight.size());
    in.each([&](int64_t at, int64_t c) { weight[c] += weights[at], bias[c] += biases[at]; });
    return found.of_parameters(weight, bias);
  }
  gradient_sums<T>(g, dy, x, residual, activation, planes, 0, s1, s2);
  Rule{in}.backward(s1, s2, found);
  gradients<T>(g, dy, x, residual, activation, planes, sums, 0, dx, dz);
}

}  // namespace normlab
