// The norms whose rule is written out in closed_norm.h, in one call each way (see ../closed.py),
// for float32 and bfloat16 on the CPU. The Python side asks only for what is served here; anything
// else is refused.

#include "closed_norm.h"
#include "tensors.h"

namespace normlab {
namespace {

constexpr const char* kRefused = "normlab::closed_norm does not serve these tensors";

// What both operators are given of a rule: weight?, bias?, first?, second?, eps, number, other
// number, name, activation.
struct Rule {
  const Optional weight, bias, first, second;
  const double eps, number, other_number;
  const std::string name;
  const std::optional<Activation> activation;

  explicit Rule(StableIValue* stack)
      : weight(to<Optional>(stack[0])),
        bias(to<Optional>(stack[1])),
        first(to<Optional>(stack[2])),
        second(to<Optional>(stack[3])),
        eps(to<double>(stack[4])),
        number(to<double>(stack[5])),
        other_number(to<double>(stack[6])),
        name(to<std::string>(stack[7])),
        activation(activation_named(to<std::string>(stack[8]))) {}

  int64_t shares() const { return name == "switchable" ? 3 : 0; }

  RuleInputs inputs(const Tensor& x, const Rows& planes) const {
    const int64_t others = shares() ? 3 : x.size(1);
    STD_TORCH_CHECK(activation && are_values(x.size(1), {&weight, &bias}) &&
                        are_values(others, {&first, &second}) &&
                        (name == "global_response" || (first && second)),
                    kRefused);
    return {x.size(0),
            x.size(1),
            x.size(2) * x.size(3),
            planes[kMean],
            planes[kVariance],
            floats_of(weight),
            floats_of(bias),
            floats_of(first),
            floats_of(second),
            eps,
            number,
            other_number};
  }
};

template <class R>
struct Kind {
  using Type = R;
};

// use(Kind<the rule of that name>, a value of x's type).
template <class Use>
void with_kind(const std::string& name, const Tensor& x, const Use& use) {
  with_type(x, [&](auto type) {
    if (name == "batch_renorm") return use(Kind<BatchRenorm>{}, type);
    if (name == "switchable") return use(Kind<Switchable>{}, type);
    STD_TORCH_CHECK(name == "global_response", "normlab::closed_norm knows no such rule");
    use(Kind<GlobalResponse>{}, type);
  });
}

// closed_norm(weight?, …, activation, x, residual?, running_mean?, running_variance?, batches?,
//             momentum) -> y, planes (4, N, C)
void closed_norm(StableIValue* stack, uint64_t, uint64_t) {
  const Rule rule(stack);
  const Tensor given = to<Tensor>(stack[9]);
  const Optional added = to<Optional>(stack[10]), mean = to<Optional>(stack[11]),
                 variance = to<Optional>(stack[12]), batches = to<Optional>(stack[13]);
  const double momentum = to<double>(stack[14]);
  STD_TORCH_CHECK(
      is_served(given) && is_partner(added, given) && are_values(given.size(1), {&mean, &variance}),
      kRefused);
  const Tensor x = dense(given), y = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const int64_t n = x.size(0), c = x.size(1);
  const Tensor kept = uninitialized_rows(4, n, c);
  const Rows planes{floats(kept), n, c};
  const RuleInputs inputs = rule.inputs(x, planes);
  std::vector<float> batch(size_t(2 * c));
  with_kind(rule.name, x, [&](auto kind, auto type) {
    using T = decltype(type);
    closed_forward<typename decltype(kind)::Type, T>(geometry(x), inputs, data<T>(x),
                                                     data<T>(residual), *rule.activation,
                                                     data<T>(y), planes, batch.data());
  });
  if (mean && variance && batches)
    update_running(*mean, *variance, *batches, momentum, batch.data(), c,
                   double(n) * double(inputs.pixels));
  stack[0] = from(y);
  stack[1] = from(kept);
}

// closed_norm_backward(weight?, …, activation, dy, x, residual?, planes, needs_dz)
//   -> dx, dz?, dγ, dβ, dfirst, dsecond (three numbers each, or none)
void closed_norm_backward(StableIValue* stack, uint64_t, uint64_t) {
  const Rule rule(stack);
  const Tensor gradient = to<Tensor>(stack[9]), given = to<Tensor>(stack[10]);
  const Optional added = to<Optional>(stack[11]);
  const Tensor kept = to<Tensor>(stack[12]);
  const bool needs_dz = to<bool>(stack[13]);
  STD_TORCH_CHECK(is_served(given) && is_partner(gradient, given) && is_partner(added, given),
                  kRefused);
  const Tensor x = dense(given), dy = beside(gradient, x), dx = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const Optional dz = needs_dz ? Optional(uninitialized_like(x)) : std::nullopt;
  const int64_t n = x.size(0), c = x.size(1);
  const Tensor weight = uninitialized_values(c), bias = uninitialized_values(c),
               first = uninitialized_values(rule.shares()),
               second = uninitialized_values(rule.shares());
  const Tensor found = uninitialized_rows(kGradientRows, n, c);
  const Rows planes{floats(kept), n, c}, sums{floats(found), n, c};
  const RuleGradients gradients{sums[kP],     sums[kQ],      floats(weight),
                                floats(bias), floats(first), floats(second)};
  const RuleInputs inputs = rule.inputs(x, planes);
  with_kind(rule.name, x, [&](auto kind, auto type) {
    using T = decltype(type);
    closed_backward<typename decltype(kind)::Type, T>(geometry(x), inputs, data<T>(dy), data<T>(x),
                                                      data<T>(residual), *rule.activation, planes,
                                                      sums, gradients, data<T>(dx), data<T>(dz));
  });
  stack[0] = from(dx);
  stack[1] = from(dz);
  stack[2] = from(weight);
  stack[3] = from(bias);
  stack[4] = from(first);
  stack[5] = from(second);
}

}  // namespace
}  // namespace normlab

STABLE_TORCH_LIBRARY_IMPL(normlab, CPU, m) {
  m.impl("closed_norm", normlab::closed_norm);
  m.impl("closed_norm_backward", normlab::closed_norm_backward);
}
