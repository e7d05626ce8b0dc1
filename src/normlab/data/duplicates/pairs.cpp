// Two pictures of a pair laid over each other: the steps of raster.descended, and the windows of
// verification.compared. Their operations on tensors serve where there is no compiler; both agree
// to rounding. A pair is worked on at once, so that all of it stays in the processor's cache.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include "comparison.h"
#include "descent.h"
#include "search.h"

namespace {

using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;

bool serves(const Tensor& t, int64_t count, int32_t wanted = aoti_torch_dtype_float32()) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(t.get(), &dtype));
  const auto size = t.sizes(), stride = t.strides();
  int64_t expected = 1;
  for (int d = int(size.size()) - 1; d >= 0; --d) {
    if (size[d] != 1 && stride[d] != expected) return false;
    expected *= size[d];
  }
  return dtype == wanted && t.is_cpu() && t.numel() == count;
}

const float* values(const Tensor& t) { return static_cast<const float*>(t.data_ptr()); }

const int64_t* numbers(const Tensor& t) { return static_cast<const int64_t*>(t.data_ptr()); }

Tensor empty(int64_t rows, int64_t columns, int32_t dtype = aoti_torch_dtype_float32()) {
  const int64_t sizes[2] = {rows, columns}, strides[2] = {columns, 1};
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      2, sizes, strides, dtype, aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

// descended(moving (n, 2, s, s), goal (n, s, s), seen (n, s, s), affine (n, 2, 3)) -> (n, 6)
void descended(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor moving = to<Tensor>(stack[0]), goal = to<Tensor>(stack[1]),
               seen = to<Tensor>(stack[2]), affine = to<Tensor>(stack[3]);
  const int64_t steps = to<int64_t>(stack[4]);
  const double most = to<double>(stack[5]);
  const bool robust = to<bool>(stack[6]);
  const int64_t n = goal.size(0), side = goal.size(1), plane = side * side;
  STD_TORCH_CHECK(serves(moving, 2 * n * plane) && serves(goal, n * plane) &&
                      serves(seen, n * plane) && serves(affine, 6 * n) && side % 16 == 0,
                  "normlab_pairs::descended does not serve these tensors");
  const Tensor out = empty(n, 6);
  auto* found = static_cast<float*>(out.data_ptr());
  std::memcpy(found, values(affine), size_t(6 * n) * 4);
  thread_local Descent descent;
  descent.side = int(side), descent.steps = int(steps);
  descent.most = float(most), descent.robust = robust;
  for (int64_t i = 0; i < n; ++i)
    descent.run(values(moving) + 2 * plane * i, values(goal) + plane * i,
                values(seen) + plane * i, found + 6 * i);
  stack[0] = from(out);
}

// compared(source (n, 4, 64, 64), target (n, 4, 64, 64), affine (n, 2, 3), shape (n, 4)) -> (n, 3)
// with shape: 1 where the pair is tilted, the target's squash, the noise
void compared(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor source = to<Tensor>(stack[0]), target = to<Tensor>(stack[1]),
               affine = to<Tensor>(stack[2]), shape = to<Tensor>(stack[3]);
  const bool soft = to<bool>(stack[4]);
  const int64_t n = source.size(0);
  STD_TORCH_CHECK(serves(source, 4 * kPlane * n) && serves(target, 4 * kPlane * n) &&
                      serves(affine, 6 * n) && serves(shape, 4 * n),
                  "normlab_pairs::compared does not serve these tensors");
  const Tensor out = empty(n, 3);
  auto* found = static_cast<float*>(out.data_ptr());
  thread_local Comparison comparison;
  for (int64_t i = 0; i < n; ++i) {
    const float* own = values(shape) + 4 * i;
    const Result result =
        comparison.run(values(source) + 4 * kPlane * i, values(target) + 4 * kPlane * i,
                       values(affine) + 6 * i, own[0] > 0.5f, own + 1, own[3], soft);
    found[3 * i] = result.worst, found[3 * i + 1] = result.agreement;
    found[3 * i + 2] = result.detail;
  }
  stack[0] = from(out);
}

// nearest(queries (q, d), tiles (t, d, 16), members (t, 16), ends (c + 1), cells (q, p), first, keep)
//     -> cosines (q, k) and images (q, k), −2 where there are fewer; p = 0 stands for every cell
void nearest(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor queries = to<Tensor>(stack[0]), tiles = to<Tensor>(stack[1]),
               members = to<Tensor>(stack[2]), ends = to<Tensor>(stack[3]),
               cells = to<Tensor>(stack[4]);
  const int64_t first = to<int64_t>(stack[5]), keep = to<int64_t>(stack[6]);
  const int64_t n = queries.size(0), dimensions = queries.size(1), probes = cells.size(1);
  const int32_t int64 = aoti_torch_dtype_int64();
  STD_TORCH_CHECK(serves(queries, n * dimensions) &&
                      serves(tiles, tiles.size(0) * dimensions * kTile) &&
                      serves(members, tiles.size(0) * kTile, int64) &&
                      serves(ends, ends.numel(), int64) &&
                      (probes == 0 || serves(cells, n * probes, int64)) &&
                      keep > 0,
                  "normlab_pairs::nearest does not serve these tensors");
  const Tensor value = empty(n, keep), place = empty(n, keep, int64);
  const Kept kept{static_cast<float*>(value.data_ptr()), static_cast<int64_t*>(place.data_ptr()),
                  keep};
  std::fill_n(kept.values, n * keep, -2.0f);
  std::fill_n(kept.places, n * keep, int64_t(0));
  const Tiles base{values(tiles), numbers(members), numbers(ends), dimensions, ends.numel() - 1};
  torch::stable::parallel_for(0, n, 1024, [&](int64_t begin, int64_t end) {
    search(base, values(queries), numbers(cells), probes, probes == 0, first, begin, end, kept);
  });
  stack[0] = from(value);
  stack[1] = from(place);
}

}  // namespace

STABLE_TORCH_LIBRARY(normlab_pairs, m) {
  m.def(
      "nearest(Tensor queries, Tensor tiles, Tensor members, Tensor ends, Tensor cells, int first, "
      "int keep) -> (Tensor, Tensor)");
  m.def(
      "descended(Tensor moving, Tensor goal, Tensor seen, Tensor affine, int steps, float most, "
      "bool robust) -> Tensor");
  m.def(
      "compared(Tensor source, Tensor target, Tensor affine, Tensor shape, bool soft) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(normlab_pairs, CPU, m) {
  m.impl("nearest", nearest);
  m.impl("descended", descended);
  m.impl("compared", compared);
}
