// What the operators need of torch's tensors. Only the stable ABI is used, so that a library built
// with one version of torch also loads into later ones.

#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <optional>
#include <string>

#include "tiles.h"

namespace normlab {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;
using Optional = std::optional<Tensor>;

inline bool is_dense(const Tensor& x, bool channels_last) {
  const auto size = x.sizes(), stride = x.strides();
  constexpr int order[2][4] = {{3, 2, 1, 0}, {1, 3, 2, 0}};
  int64_t expected = 1;
  for (const int d : order[channels_last]) {
    if (size[d] != 1 && stride[d] != expected) return false;
    expected *= size[d];
  }
  return true;
}

inline Tensor uninitialized(torch::headeronly::IntHeaderOnlyArrayRef size,
                            torch::headeronly::IntHeaderOnlyArrayRef stride, int32_t dtype) {
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      int64_t(size.size()), size.data(), stride.data(), dtype, aoti_torch_device_type_cpu(), 0,
      &handle));
  return Tensor(handle);
}

inline int32_t dtype_of(const Tensor& x) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(x.get(), &dtype));
  return dtype;
}

inline Tensor uninitialized_like(const Tensor& x) {
  return uninitialized(x.sizes(), x.strides(), dtype_of(x));
}

inline Tensor uninitialized_plane_values(const Tensor& x) {
  const int64_t size[2] = {x.size(0), x.size(1)}, stride[2] = {size[1], 1};
  return uninitialized({size, 2}, {stride, 2}, aoti_torch_dtype_float32());
}

// `rows` of N×C numbers each.
inline Tensor uninitialized_rows(int64_t rows, int64_t n, int64_t c) {
  const int64_t size[3] = {rows, n, c}, stride[3] = {n * c, c, 1};
  return uninitialized({size, 3}, {stride, 3}, aoti_torch_dtype_float32());
}

inline Tensor uninitialized_values(int64_t count) {
  const int64_t size[1] = {count}, stride[1] = {1};
  return uninitialized({size, 1}, {stride, 1}, aoti_torch_dtype_float32());
}

inline bool same_size(const Tensor& a, const Tensor& b) {
  const auto x = a.sizes(), y = b.sizes();
  return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin());
}

inline bool is_served(const Tensor& x) {
  const int32_t dtype = dtype_of(x);
  return x.is_cpu() && x.dim() == 4 && x.numel() > 0 &&
         (dtype == aoti_torch_dtype_float32() || dtype == aoti_torch_dtype_bfloat16());
}

inline bool is_partner(const Tensor& t, const Tensor& x) { return t.is_cpu() && same_size(t, x); }
inline bool is_partner(const Optional& t, const Tensor& x) { return !t || is_partner(*t, x); }

inline bool is_plane_values(const Tensor& t, const Tensor& x) {
  return t.is_cpu() && t.dim() == 2 && t.size(0) == x.size(0) && t.size(1) == x.size(1) &&
         dtype_of(t) == aoti_torch_dtype_float32();
}

// Whether each is `count` float32 numbers in a row, or is not there.
inline bool are_values(int64_t count, std::initializer_list<const Optional*> all) {
  for (const Optional* each : all)
    if (*each && (!(*each)->is_cpu() || (*each)->dim() != 1 || (*each)->size(0) != count ||
                  (*each)->stride(0) != 1 || dtype_of(**each) != aoti_torch_dtype_float32()))
      return false;
  return true;
}

// x itself where it is contiguous in one of the two layouts, or else a copy that is.
inline Tensor dense(const Tensor& x) {
  if (is_dense(x, false) || is_dense(x, true)) return x;
  const bool channels_last = x.stride(1) < x.stride(3) && x.stride(1) < x.stride(2);
  using torch::headeronly::MemoryFormat;
  return torch::stable::contiguous(
      x, channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous);
}

// t itself where it has the layout and type of x, or else a copy that has.
inline Tensor beside(const Tensor& t, const Tensor& x) {
  bool same = dtype_of(t) == dtype_of(x);
  for (int d = 0; d < 4; ++d) same = same && (x.size(d) == 1 || t.stride(d) == x.stride(d));
  if (same) return t;
  Tensor copy = uninitialized_like(x);
  return torch::stable::copy_(copy, t);
}

inline Optional beside(const Optional& t, const Tensor& x) {
  return t ? Optional(beside(*t, x)) : std::nullopt;
}

inline Geometry geometry(const Tensor& x) {
  const int64_t pixels = x.size(2) * x.size(3);
  // One pixel a plane is both; then the channels are the longer run. One channel: the pixels are.
  const bool channels_last = x.size(1) > 1 && (pixels == 1 || !is_dense(x, false));
  return Geometry(x.size(0), x.size(1), pixels, channels_last);
}

inline PlaneValues plane_values(const Tensor& t) {
  return {static_cast<const float*>(t.data_ptr()), t.stride(0), t.stride(1)};
}

inline const float* floats_of(const Optional& t) {
  return t ? static_cast<const float*>(t->data_ptr()) : nullptr;
}

inline float* floats(const Tensor& t) { return static_cast<float*>(t.data_ptr()); }

// running ← (1 − weight)·running + weight·batch, with the unbiased variance; batch: C means, then C
// variances. A momentum below 0 is the average over all batches.
inline void update_running(const Tensor& mean, const Tensor& variance, const Tensor& batches,
                           double momentum, const float* batch, int64_t channels, double count) {
  int64_t& number = *static_cast<int64_t*>(batches.data_ptr());
  ++number;
  const double weight = momentum < 0 ? 1.0 / double(number) : momentum;
  const double unbiased = count / std::max(count - 1, 1.0);
  float *m = floats(mean), *v = floats(variance);
  for (int64_t c = 0; c < channels; ++c) {
    m[c] = float(m[c] + weight * (double(batch[c]) - m[c]));
    v[c] = float(v[c] + weight * (unbiased * double(batch[channels + c]) - v[c]));
  }
}

template <class T>
T* data(const Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

template <class T>
T* data(const Optional& t) {
  return t ? data<T>(*t) : nullptr;
}

inline std::optional<Activation> activation_named(const std::string& name) {
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

}  // namespace normlab
