// The operators of ../curved.py for float32 and bfloat16 tensors on the CPU. The Python side asks
// only for what is served here; anything else is refused.

#include "curved.h"

#include "tensors.h"

namespace normlab {
namespace {

std::optional<Curve> curve_named(const std::string& name) {
  if (name == "tanh") return Curve::tanh;
  if (name == "swish") return Curve::swish;
  if (name == "threshold") return Curve::threshold;
  return std::nullopt;
}

std::optional<ScaleRule::Kind> kind_named(const std::string& name) {
  if (name == "constant") return ScaleRule::constant;
  if (name == "response") return ScaleRule::response;
  if (name == "deviation") return ScaleRule::deviation;
  return std::nullopt;
}

// What both operators are given first: slope, weight, bias, activation, curve, scale, groups, eps.
struct Layer {
  const Optional slope, weight, bias;
  const std::optional<Activation> activation;
  const std::optional<Curve> curve;
  const std::optional<ScaleRule::Kind> kind;
  const int64_t groups;
  const double eps;

  explicit Layer(StableIValue* stack)
      : slope(to<Tensor>(stack[0])),
        weight(to<Tensor>(stack[1])),
        bias(to<Tensor>(stack[2])),
        activation(activation_named(to<std::string>(stack[3]))),
        curve(curve_named(to<std::string>(stack[4]))),
        kind(kind_named(to<std::string>(stack[5]))),
        groups(to<int64_t>(stack[6])),
        eps(to<double>(stack[7])) {}

  ScaleRule rule(const Tensor& x) const {
    const int64_t c = x.size(1);
    STD_TORCH_CHECK(activation && curve && kind && are_values(c, {&weight, &bias}) &&
                        (are_values(c, {&slope}) || are_values(1, {&slope})) && groups >= 1 &&
                        c % groups == 0,
                    "normlab::curved_norm does not serve these tensors");
    return {x.size(0),
            c,
            x.size(2) * x.size(3),
            groups,
            *kind,
            eps,
            floats_of(slope),
            floats_of(weight),
            floats_of(bias),
            slope->size(0) == c ? 1 : 0};
  }
};

// curved_norm(slope, weight, bias, activation, curve, scale, groups, eps, x, residual?)
//   -> y, planes (3, N, C): mean, variance, scale
void curved_norm(StableIValue* stack, uint64_t, uint64_t) {
  const Layer layer(stack);
  const Tensor given = to<Tensor>(stack[8]);
  const Optional added = to<Optional>(stack[9]);
  STD_TORCH_CHECK(is_served(given) && is_partner(added, given),
                  "normlab::curved_norm does not serve these tensors");
  const Tensor x = dense(given), y = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const ScaleRule rule = layer.rule(x);
  const Tensor kept = uninitialized_rows(3, rule.samples, rule.channels);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    curved_forward<T>(geometry(x), rule, data<T>(x), data<T>(residual), *layer.activation,
                      *layer.curve, data<T>(y), Rows{floats(kept), rule.samples, rule.channels});
  });
  stack[0] = from(y);
  stack[1] = from(kept);
}

// curved_norm_backward(slope, …, eps, dy, x, residual?, planes, needs_dz) -> dx, dz?, da, dγ, dβ
void curved_norm_backward(StableIValue* stack, uint64_t, uint64_t) {
  const Layer layer(stack);
  const Tensor gradient = to<Tensor>(stack[8]), given = to<Tensor>(stack[9]);
  const Optional added = to<Optional>(stack[10]);
  const Tensor kept = to<Tensor>(stack[11]);
  const bool needs_dz = to<bool>(stack[12]);
  STD_TORCH_CHECK(is_served(given) && is_partner(gradient, given) && is_partner(added, given),
                  "normlab::curved_norm_backward does not serve these tensors");
  const Tensor x = dense(given), dy = beside(gradient, x), dx = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const Optional dz = needs_dz ? Optional(uninitialized_like(x)) : std::nullopt;
  const ScaleRule rule = layer.rule(x);
  const int64_t n = rule.samples, c = rule.channels;
  const Tensor by_slope = uninitialized_values(layer.slope->size(0)),
               by_weight = uninitialized_values(c), by_bias = uninitialized_values(c);
  const Tensor sums = uninitialized_rows(kCurvedRows, n, c);
  const Rows found{floats(sums), n, c};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    curved_backward<T>(geometry(x), rule, data<T>(dy), data<T>(x), data<T>(residual),
                       *layer.activation, *layer.curve, Rows{floats(kept), n, c}, found,
                       data<T>(dx), data<T>(dz));
  });
  const bool constant = rule.kind == ScaleRule::constant;
  sum_samples(found[kBySlope], rule, rule.slope_stride, floats(by_slope));
  sum_samples(found[constant ? kByScale : kByWeight], rule, 1, floats(by_weight));
  sum_samples(found[kByOffset], rule, 1, floats(by_bias));
  stack[0] = from(dx);
  stack[1] = from(dz);
  stack[2] = from(by_slope);
  stack[3] = from(by_weight);
  stack[4] = from(by_bias);
}

}  // namespace
}  // namespace normlab

STABLE_TORCH_LIBRARY_IMPL(normlab, CPU, m) {
  m.impl("curved_norm", normlab::curved_norm);
  m.impl("curved_norm_backward", normlab::curved_norm_backward);
}
