// The four plane operators (see ../planes.py) for float32 and bfloat16 tensors on the CPU.
//
// Whatever these loops do not serve (other types, empty tensors, odd arguments) goes on to the
// reference operators, which serve or refuse it.

#include "tensors.h"

namespace normlab {
namespace {

// Hands the arguments, as they came, to the reference operator.
template <class... Arguments>
void call_reference(const char* name, StableIValue* stack, const Arguments&... arguments) {
  int i = 0;
  ((stack[i++] = from(arguments)), ...);
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, "", stack, TORCH_ABI_VERSION));
}

void plane_statistics(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor given = to<Tensor>(stack[0]);
  if (!is_served(given))
    return call_reference("normlab::reference_plane_statistics", stack, given);
  const Tensor x = dense(given), mean = uninitialized_plane_values(x), variance = uninitialized_plane_values(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    statistics<T>(geometry(x), data<T>(x), floats(mean), floats(variance));
  });
  stack[0] = from(mean);
  stack[1] = from(variance);
}

void plane_affine(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor given = to<Tensor>(stack[0]), center = to<Tensor>(stack[1]),
               scale = to<Tensor>(stack[2]), offset = to<Tensor>(stack[3]);
  const Optional added = to<Optional>(stack[4]);
  const std::string name = to<std::string>(stack[5]);
  const auto activation = activation_named(name);
  if (!activation || !is_served(given) || !is_partner(added, given) ||
      !is_plane_values(center, given) || !is_plane_values(scale, given) ||
      !is_plane_values(offset, given))
    return call_reference("normlab::reference_plane_affine", stack, given, center, scale, offset,
                          added, name);
  const Tensor x = dense(given), y = uninitialized_like(x);
  const Optional residual = beside(added, x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    affine<T>(geometry(x), data<T>(x), plane_values(center), plane_values(scale),
              plane_values(offset), data<T>(residual), *activation, data<T>(y));
  });
  stack[0] = from(y);
}

void plane_sums(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor gradient = to<Tensor>(stack[0]), given = to<Tensor>(stack[1]),
               center = to<Tensor>(stack[2]);
  const Optional known = to<Optional>(stack[3]);
  const std::string name = to<std::string>(stack[4]);
  const auto activation = activation_named(name);
  if (!activation || !is_served(given) || !is_partner(gradient, given) ||
      !is_partner(known, given) || !is_plane_values(center, given) ||
      (!known && *activation != Activation::none))
    return call_reference("normlab::reference_plane_sums", stack, gradient, given, center, known,
                          name);
  const Tensor x = dense(given), dy = beside(gradient, x), s1 = uninitialized_plane_values(x),
               s2 = uninitialized_plane_values(x);
  const Optional pivot = beside(known, x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    sums<T>(geometry(x), data<T>(dy), data<T>(x), plane_values(center), data<T>(pivot),
            *activation, floats(s1), floats(s2));
  });
  stack[0] = from(s1);
  stack[1] = from(s2);
}

void plane_affine_backward(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor gradient = to<Tensor>(stack[0]), given = to<Tensor>(stack[1]),
               center = to<Tensor>(stack[2]);
  const Optional known = to<Optional>(stack[3]);
  const Tensor scale = to<Tensor>(stack[4]), p = to<Tensor>(stack[5]), q = to<Tensor>(stack[6]);
  const std::string name = to<std::string>(stack[7]);
  const bool needs_dz = to<bool>(stack[8]);
  const auto activation = activation_named(name);
  if (!activation || !is_served(given) || !is_partner(gradient, given) ||
      !is_partner(known, given) || !is_plane_values(center, given) ||
      !is_plane_values(scale, given) || !is_plane_values(p, given) || !is_plane_values(q, given) ||
      (!known && *activation != Activation::none)) {
    call_reference("normlab::reference_plane_affine_backward", stack, gradient, given, center,
                   known, scale, p, q, name, needs_dz);
    // Declared as (Tensor?, Tensor?): torch_call_dispatcher (torch 2.13) reads the types of the
    // results in reverse, so that they must all be the same.
    stack[0] = from(*to<Optional>(stack[0]));
    return;
  }
  const Tensor x = dense(given), dy = beside(gradient, x), dx = uninitialized_like(x);
  const Optional pivot = beside(known, x);
  const Optional dz = needs_dz ? Optional(uninitialized_like(x)) : std::nullopt;
  with_type(x, [&](auto type) {
    using T = decltype(type);
    affine_backward<T>(geometry(x), data<T>(dy), data<T>(x), plane_values(center), data<T>(pivot),
                       plane_values(scale), plane_values(p), plane_values(q), *activation,
                       data<T>(dx), data<T>(dz));
  });
  stack[0] = from(dx);
  stack[1] = from(dz);
}

}  // namespace
}  // namespace normlab

STABLE_TORCH_LIBRARY_IMPL(normlab, CPU, m) {
  m.impl("plane_statistics", normlab::plane_statistics);
  m.impl("plane_affine", normlab::plane_affine);
  m.impl("plane_sums", normlab::plane_sums);
  m.impl("plane_affine_backward", normlab::plane_affine_backward);
}
