// The six main norms in one call each way (see ../autograd.py) for float32 and bfloat16 on the CPU.
// The Python side asks only for what is served here; anything else is refused.

#include "batch_norm.h"
#include "tensors.h"

namespace normlab {
namespace {

// fused_norm(x, residual?, weight?, bias?, gate?, running_mean?, running_variance?, batches?,
//            momentum, batch, fixed, groups, eps, activation, centred)
//   -> y, planes (4, N, C), or (4, 1, C) of the batch's part alone, batch statistics (2, 1, C)
void fused_norm(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor given = to<Tensor>(stack[0]);
  const Optional added = to<Optional>(stack[1]), weight = to<Optional>(stack[2]),
                 bias = to<Optional>(stack[3]), gate = to<Optional>(stack[4]),
                 mean = to<Optional>(stack[5]), variance = to<Optional>(stack[6]),
                 batches = to<Optional>(stack[7]);
  const double momentum = to<double>(stack[8]);
  const bool batch = to<bool>(stack[9]), fixed = to<bool>(stack[10]);
  const int64_t groups = to<int64_t>(stack[11]);
  const double eps = to<double>(stack[12]);
  const auto activation = activation_named(to<std::string>(stack[13]));
  const bool centred = to<bool>(stack[14]);
  STD_TORCH_CHECK(activation && is_served(given) && is_partner(added, given) &&
                      are_values(given.size(1), {&weight, &bias, &gate, &mean, &variance}) &&
                      (!fixed || (mean && variance)),
                  "normlab::fused_norm does not serve these tensors");
  const Tensor x = dense(given), y = uninitialized_like(x);
  const int64_t n = x.size(0), c = x.size(1), pixels = x.size(2) * x.size(3);
  const Tensor found = uninitialized_rows(2, 1, c);
  const Optional residual = beside(added, x);
  const Geometry g = geometry(x);
  float* own = floats(found);
  if (fixed) {
    std::copy_n(floats_of(mean), c, own);
    std::copy_n(floats_of(variance), c, own + c);
  }
  NormRule b{n, c, pixels, groups, batch, fixed, centred, floats_of(weight), floats_of(bias),
             floats_of(gate), own, own + c, float(eps)};
  const int64_t rows = b.by_channel() ? 1 : n;
  const Tensor planes = uninitialized_rows(4, rows, c);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    if (b.by_channel())
      return batch_forward<T>(g, b, data<T>(x), data<T>(residual), *activation, data<T>(y),
                              Rows{floats(planes), rows, c}, own, own + c);
    fused_forward<T>(g, g.channels != 1, b, data<T>(x), data<T>(residual), *activation, data<T>(y),
                     Rows{floats(planes), n, c}, own, own + c);
  });
  if (mean && variance && batches && !fixed)
    update_running(*mean, *variance, *batches, momentum, own, c, double(n) * double(pixels));
  stack[0] = from(y);
  stack[1] = from(planes);
  stack[2] = from(found);
}

// fused_norm_backward(dy, x, residual?, weight?, gate?, planes, statistics, batch, fixed, groups,
//                     eps, activation, centred, needs_dz) -> dx, dz?, dγ, dβ, dρ
void fused_norm_backward(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor gradient = to<Tensor>(stack[0]), given = to<Tensor>(stack[1]);
  const Optional added = to<Optional>(stack[2]), weight = to<Optional>(stack[3]),
                 gate = to<Optional>(stack[4]);
  const Tensor planes = to<Tensor>(stack[5]), statistics = to<Tensor>(stack[6]);
  const bool batch = to<bool>(stack[7]), fixed = to<bool>(stack[8]);
  const int64_t groups = to<int64_t>(stack[9]);
  const double eps = to<double>(stack[10]);
  const auto activation = activation_named(to<std::string>(stack[11]));
  const bool centred = to<bool>(stack[12]), needs_dz = to<bool>(stack[13]);
  STD_TORCH_CHECK(activation && is_served(given) && is_partner(gradient, given) &&
                      is_partner(added, given) && are_values(given.size(1), {&weight, &gate}),
                  "normlab::fused_norm_backward does not serve these tensors");
  const Tensor x = dense(given), dy = beside(gradient, x), dx = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const Optional dz = needs_dz ? Optional(uninitialized_like(x)) : std::nullopt;
  const int64_t n = x.size(0), c = x.size(1);
  const Tensor dweight = uninitialized_values(c), dbias = uninitialized_values(c),
               dgate = uninitialized_values(c);
  const Geometry g = geometry(x);
  const float* known = floats(statistics);
  const NormRule b{n, c, x.size(2) * x.size(3), groups, batch, fixed, centred, floats_of(weight),
                   nullptr, floats_of(gate), known, known + c, float(eps)};
  std::fill_n(floats(dgate), c, 0.0f);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    if (b.by_channel())
      return batch_backward<T>(g, b, data<T>(dy), data<T>(x), data<T>(residual), *activation,
                               Rows{floats(planes), 1, c}, data<T>(dx), data<T>(dz),
                               floats(dweight), floats(dbias));
    const Tensor found = uninitialized_rows(kGradientRows, n, c);
    fused_backward<T>(g, g.channels != 1, b, data<T>(dy), data<T>(x), data<T>(residual),
                      *activation, Rows{floats(planes), n, c}, Rows{floats(found), n, c},
                      data<T>(dx), data<T>(dz), floats(dweight), floats(dbias), floats(dgate));
  });
  stack[0] = from(dx);
  stack[1] = from(dz);
  stack[2] = from(dweight);
  stack[3] = from(dbias);
  stack[4] = from(dgate);
}

}  // namespace
}  // namespace normlab

STABLE_TORCH_LIBRARY_IMPL(normlab, CPU, m) {
  m.impl("fused_norm", normlab::fused_norm);
  m.impl("fused_norm_backward", normlab::fused_norm_backward);
}
