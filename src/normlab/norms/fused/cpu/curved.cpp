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

bool are_plane_values(const Tensor& x, std::initializer_list<const Tensor*> values) {
  for (const Tensor* each : values)
    if (!is_plane_values(*each, x)) return false;
  return true;
}

// curved(x, slope, scale, offset, residual?, activation, curve) -> y
void curved(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor given = to<Tensor>(stack[0]), slope = to<Tensor>(stack[1]),
               scale = to<Tensor>(stack[2]), offset = to<Tensor>(stack[3]);
  const Optional added = to<Optional>(stack[4]);
  const auto activation = activation_named(to<std::string>(stack[5]));
  const auto curve = curve_named(to<std::string>(stack[6]));
  STD_TORCH_CHECK(activation && curve && is_served(given) && is_partner(added, given) &&
                      are_plane_values(given, {&slope, &scale, &offset}),
                  "normlab::curved does not serve these tensors");
  const Tensor x = dense(given), y = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const PlaneValues values[3] = {plane_values(slope), plane_values(scale), plane_values(offset)};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *from = data<T>(x), *beside_it = data<T>(residual);
    T* to_ = data<T>(y);
    map_tiles(geometry(x), values, [=](int64_t at) {
      return Curved<T>{from + at, moved(beside_it, at), to_ + at, *activation,
                       *curve};
    });
  });
  stack[0] = from(y);
}

// curved_sums(dy, x, slope, scale, offset, residual?, activation, curve)
//   -> Σ dz, Σ dz·f, Σ dy·∂y/∂a
void curved_sums(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor gradient = to<Tensor>(stack[0]), given = to<Tensor>(stack[1]),
               slope = to<Tensor>(stack[2]), scale = to<Tensor>(stack[3]),
               offset = to<Tensor>(stack[4]);
  const Optional added = to<Optional>(stack[5]);
  const auto activation = activation_named(to<std::string>(stack[6]));
  const auto curve = curve_named(to<std::string>(stack[7]));
  STD_TORCH_CHECK(activation && curve && is_served(given) && is_partner(gradient, given) &&
                      is_partner(added, given) &&
                      are_plane_values(given, {&slope, &scale, &offset}),
                  "normlab::curved_sums does not serve these tensors");
  const Tensor x = dense(given), dy = beside(gradient, x);
  const Tensor by_offset = uninitialized_plane_values(x), by_scale = uninitialized_plane_values(x),
               by_slope = uninitialized_plane_values(x);
  const Optional residual = beside(added, x);
  const PlaneValues values[3] = {plane_values(slope), plane_values(scale), plane_values(offset)};
  float* const totals[3] = {floats(by_offset), floats(by_scale), floats(by_slope)};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *dy_ = data<T>(dy), *x_ = data<T>(x), *r = data<T>(residual);
    total_tiles<CurvedSums<T>>(
        geometry(x), values,
        [=](int64_t at) {
          return CurvedSums<T>{{dy_ + at, x_ + at, moved(r, at), *activation, *curve}};
        },
        totals);
  });
  stack[0] = from(by_offset);
  stack[1] = from(by_scale);
  stack[2] = from(by_slope);
}

// curved_backward(dy, x, slope, scale, offset, residual?, center, p, q, activation, curve,
//                 needs_dz) -> dx, dz?
void curved_backward(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor gradient = to<Tensor>(stack[0]), given = to<Tensor>(stack[1]),
               slope = to<Tensor>(stack[2]), scale = to<Tensor>(stack[3]),
               offset = to<Tensor>(stack[4]);
  const Optional added = to<Optional>(stack[5]);
  const Tensor center = to<Tensor>(stack[6]), p = to<Tensor>(stack[7]), q = to<Tensor>(stack[8]);
  const auto activation = activation_named(to<std::string>(stack[9]));
  const auto curve = curve_named(to<std::string>(stack[10]));
  const bool needs_dz = to<bool>(stack[11]);
  STD_TORCH_CHECK(activation && curve && is_served(given) && is_partner(gradient, given) &&
                      is_partner(added, given) &&
                      are_plane_values(given, {&slope, &scale, &offset, &center, &p, &q}),
                  "normlab::curved_backward does not serve these tensors");
  const Tensor x = dense(given), dy = beside(gradient, x), dx = uninitialized_like(x);
  const Optional residual = beside(added, x);
  const Optional dz = needs_dz ? Optional(uninitialized_like(x)) : std::nullopt;
  const PlaneValues values[6] = {plane_values(slope),  plane_values(scale), plane_values(offset),
                                 plane_values(center), plane_values(p),     plane_values(q)};
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const T *dy_ = data<T>(dy), *x_ = data<T>(x), *r = data<T>(residual);
    T *dx_ = data<T>(dx), *dz_ = data<T>(dz);
    map_tiles(geometry(x), values, [=](int64_t at) {
      return CurvedBackward<T>{{dy_ + at, x_ + at, moved(r, at), *activation, *curve},
                               dx_ + at, moved(dz_, at)};
    });
  });
  stack[0] = from(dx);
  stack[1] = from(dz);
}

}  // namespace
}  // namespace normlab

STABLE_TORCH_LIBRARY_IMPL(normlab, CPU, m) {
  m.impl("curved", normlab::curved);
  m.impl("curved_sums", normlab::curved_sums);
  m.impl("curved_backward", normlab::curved_backward);
}
