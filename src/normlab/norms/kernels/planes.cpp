// The four plane operators (see ../planes.py) for float32 and bfloat16 tensors on the CPU.
//
// Whatever these loops do not serve (other types, empty tensors, odd arguments) goes on to the
// reference operators, which serve or refuse it. Only torch's stable ABI is used, so a library
// built with one version of torch also loads into later ones.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <optional>
#include <string>

#include "tiles.h"

namespace normlab {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;
using Optional = std::optional<Tensor>;

bool is_dense(const Tensor& x, bool channels_last) {
  const auto size = x.sizes(), stride = x.strides();
  constexpr int order[2][4] = {{3, 2, 1, 0}, {1, 3, 2, 0}};
  int64_t expected = 1;
  for (const int d : order[channels_last]) {
    if (size[d] != 1 && stride[d] != expected) return false;
    expected *= size[d];
  }
  return true;
}

Tensor uninitialized(torch::headeronly::IntHeaderOnlyArrayRef size,
             torch::headeronly::IntHeaderOnlyArrayRef stride, int32_t dtype) {
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      int64_t(size.size()), size.data(), stride.data(), dtype, aoti_torch_device_type_cpu(), 0,
      &handle));
  return Tensor(handle);
}

int32_t dtype_of(const Tensor& x) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(x.get(), &dtype));
  return dtype;
}

Tensor uninitialized_like(const Tensor& x) { return uninitialized(x.sizes(), x.strides(), dtype_of(x)); }

Tensor uninitialized_plane_values(const Tensor& x) {
  const int64_t size[2] = {x.size(0), x.size(1)}, stride[2] = {size[1], 1};
  return uninitialized({size, 2}, {stride, 2}, aoti_torch_dtype_float32());
}

bool same_size(const Tensor& a, const Tensor& b) {
  const auto x = a.sizes(), y = b.sizes();
  return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin());
}

bool is_served(const Tensor& x) {
  const int32_t dtype = dtype_of(x);
  return x.is_cpu() && x.dim() == 4 && x.numel() > 0 &&
         (dtype == aoti_torch_dtype_float32() || dtype == aoti_torch_dtype_bfloat16());
}

bool is_partner(const Tensor& t, const Tensor& x) { return t.is_cpu() && same_size(t, x); }
bool is_partner(const Optional& t, const Tensor& x) { return !t || is_partner(*t, x); }

bool is_plane_values(const Tensor& t, const Tensor& x) {
  return t.is_cpu() && t.dim() == 2 && t.size(0) == x.size(0) && t.size(1) == x.size(1) &&
         dtype_of(t) == aoti_torch_dtype_float32();
}

// x itself where it is contiguous in one of the two layouts, or else a copy that is.
Tensor dense(const Tensor& x) {
  if (is_dense(x, false) || is_dense(x, true)) return x;
  const bool channels_last = x.stride(1) < x.stride(3) && x.stride(1) < x.stride(2);
  using torch::headeronly::MemoryFormat;
  return torch::stable::contiguous(
      x, channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
}

// t itself where it has the layout and type of x, or else a copy that has.
Tensor beside(const Tensor& t, const Tensor& x) {
  bool same = dtype_of(t) == dtype_of(x);
  for (int d = 0; d < 4; ++d) same = same && (x.size(d) == 1 || t.stride(d) == x.stride(d));
  if (same) return t;
  Tensor copy = uninitialized_like(x);
  return torch::stable::copy_(copy, t);
}

Optional beside(const Optional& t, const Tensor& x) {
  return t ? Optional(beside(*t, x)) : std::nullopt;
}

Geometry geometry(const Tensor& x) {
  const int64_t pixels = x.size(2) * x.size(3);
  // One pixel a plane is both; then the channels are the longer run. One channel: the pixels are.
  const bool channels_last = x.size(1) > 1 && (pixels == 1 || !is_dense(x, false));
  return Geometry(x.size(0), x.size(1), pixels, channels_last);
}

PlaneValues plane_values(const Tensor& t) {
  return {static_cast<const float*>(t.data_ptr()), t.stride(0), t.stride(1)};
}

float* floats(const Tensor& t) { return static_cast<float*>(t.data_ptr()); }

template <class T>
T* data(const Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

template <class T>
T* data(const Optional& t) {
  return t ? data<T>(*t) : nullptr;
}

std::optional<Activation> activation_named(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "leaky_relu") return Activation::leaky_relu;
  if (name == "silu") return Activation::silu;
  return std::nullopt;
}

template <class F>
void with_type(const Tensor& x, const F& f) {
  if (dtype_of(x) == aoti_torch_dtype_float32())
    f(float{});
  else
    f(BFloat16{});
}

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
