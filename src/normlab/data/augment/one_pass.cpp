// A batch of prepared images through one affine map of the plane and one of the colours each; see
// one_pass.py, whose operations on tensors give the same bits: positions and weights are whole
// numbers, and every product, sum and comparison of floating point is rounded by itself (the file
// is compiled with -ffp-contract=off).

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define NORMLAB_LANES 16
#elif defined(__AVX2__)
#define NORMLAB_LANES 8
#else
#define NORMLAB_LANES 4
#endif

namespace {

using torch::stable::Tensor;
using torch::stable::detail::from;
using torch::stable::detail::to;

constexpr int kLanes = NORMLAB_LANES;
constexpr int kFraction = 16;      // bits of a position behind the point
constexpr int kWeight = 6;         // bits of a weight
constexpr int kOne = 1 << kWeight;

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));

inline Floats splat(float value) { return value - Floats{}; }

// The four bytes at `from` + each place.
inline Ints gather(const uint8_t* from, Ints place) {
#if defined(__AVX512F__)
  return (Ints)_mm512_i32gather_epi32((__m512i)place, from, 1);
#elif defined(__AVX2__)
  return (Ints)_mm256_i32gather_epi32((const int*)from, (__m256i)place, 1);
#else
  Ints found;
  for (int lane = 0; lane < kLanes; ++lane) {
    int32_t word;
    std::memcpy(&word, from + place[lane], 4);
    found[lane] = word;
  }
  return found;
#endif
}

inline Ints limited(Ints value, int32_t low, int32_t high) {
  const Ints a = Ints{} + low, b = Ints{} + high;
  const Ints raised = value < a ? a : value;
  return raised > b ? b : raised;
}

struct Axis {
  Ints place;   // the pixel on the near side
  Ints weight;  // of the pixel on the far side, out of kOne
  Ints within;  // −1 where the position is inside of the image's edge
};

inline Axis split(Ints position, int32_t size) {
  const int32_t half = 1 << (kFraction - 1), last = (size - 1) << kFraction;
  Axis axis;
  axis.within = (position >= -half) & (position <= last + half);
  const Ints clamped = limited(position, 0, last);
  axis.place = limited(clamped >> kFraction, 0, size - 2);
  axis.weight = (clamped - (axis.place << kFraction)) >> (kFraction - kWeight);
  return axis;
}

struct Shape {
  int64_t size, padded;  // pixels of a row, and what it takes in memory
};

// What a thread keeps of one image: three colours of integers as floats, and where there are any.
struct Scratch {
  std::vector<float> values;
  std::vector<int32_t> within;
};

// Bilinear sums out of 255·kOne², exactly, and their totals by colour.
void resample(const uint8_t* image, const int32_t* map, Shape shape, Scratch& kept,
              int64_t totals[3]) {
  const int32_t size = int32_t(shape.size);
  const int64_t plane = shape.size * shape.padded;
  Ints lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  for (int32_t row = 0; row < size; ++row) {
    const int32_t u0 = map[1] * row + map[2], v0 = map[4] * row + map[5];
    Ints row_sums[3] = {};  // at most 255·2^12 a pixel: room for rows of 2,048 pixels a lane
    for (int32_t first = 0; first < size; first += kLanes) {
      const Ints column = lane + first;
      const Axis x = split(column * map[0] + u0, size), y = split(column * map[3] + v0, size);
      const Ints near = (y.place * size + x.place) * 3, below = near + 3 * size;
      const Ints right = x.weight, left = kOne - right, bottom = y.weight, top = kOne - bottom;
      // A pixel to the right is read with the byte before it: nothing is read behind the image.
      const Ints a = gather(image, near), b = (gather(image, near + 2) >> 8) & 0xffffff;
      const Ints c = gather(image, below), d = (gather(image, below + 2) >> 8) & 0xffffff;
      const Ints real = column < size;
      const int64_t at = row * shape.padded + first;
      for (int colour = 0; colour < 3; ++colour) {
        const int shift = 8 * colour;
        const Ints upper = ((a >> shift) & 255) * left + ((b >> shift) & 255) * right;
        const Ints lower = ((c >> shift) & 255) * left + ((d >> shift) & 255) * right;
        const Ints value = upper * top + lower * bottom;
        const Floats stored = __builtin_convertvector(value, Floats);
        std::memcpy(kept.values.data() + colour * plane + at, &stored, sizeof stored);
        row_sums[colour] += value & real;
      }
      const Ints within = x.within & y.within;
      std::memcpy(kept.within.data() + at, &within, sizeof within);
    }
    for (int colour = 0; colour < 3; ++colour)
      for (int i = 0; i < kLanes; ++i) totals[colour] += row_sums[colour][i];
  }
}

struct Colours {
  const float *matrix, *mean, *scale;
  float offset;
};

// matrix·values + offset, clamped to [0, 1], standardized; 0 where nothing of the image came to lie.
void recolour(const Scratch& kept, Shape shape, const Colours& colours, float* out) {
  const int64_t plane = shape.size * shape.padded;
  const float* m = colours.matrix;
  for (int64_t row = 0; row < shape.size; ++row, out += 3 * shape.size)
    for (int64_t first = 0; first < shape.size; first += kLanes) {
      const int64_t at = row * shape.padded + first;
      Floats value[3];
      Ints within;
      for (int c = 0; c < 3; ++c)
        std::memcpy(&value[c], kept.values.data() + c * plane + at, sizeof(Floats));
      std::memcpy(&within, kept.within.data() + at, sizeof within);
      float buffer[3][kLanes];
      for (int c = 0; c < 3; ++c) {
        Floats mixed = value[0] * m[3 * c] + value[1] * m[3 * c + 1];
        mixed = mixed + value[2] * m[3 * c + 2];
        mixed = mixed + colours.offset;
        const Floats zero{}, one = splat(1.0f);
        mixed = mixed < zero ? zero : mixed;
        mixed = mixed > one ? one : mixed;
        const Floats standard = (mixed - colours.mean[c]) * colours.scale[c];
        const Floats masked = within ? standard : zero;
        std::memcpy(buffer[c], &masked, sizeof masked);
      }
      const int64_t lanes = std::min<int64_t>(kLanes, shape.size - first);
      float* to = out + 3 * first;
      for (int64_t i = 0; i < lanes; ++i)
        for (int c = 0; c < 3; ++c) to[3 * i + c] = buffer[c][i];
    }
}

Tensor channels_last(int64_t n, int64_t size) {
  const int64_t sizes[4] = {n, 3, size, size};
  const int64_t strides[4] = {3 * size * size, 1, 3 * size, 3};
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      4, sizes, strides, aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

bool is_contiguous(const Tensor& t) {
  const auto size = t.sizes(), stride = t.strides();
  int64_t expected = 1;
  for (int d = int(size.size()) - 1; d >= 0; --d) {
    if (size[d] != 1 && stride[d] != expected) return false;
    expected *= size[d];
  }
  return true;
}

bool has_dtype(const Tensor& t, int32_t wanted) {
  int32_t dtype;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(t.get(), &dtype));
  return dtype == wanted && t.is_cpu() && is_contiguous(t);
}

// one_pass(pixels (n, s, s, 3), maps (n, 6), matrices (n, 9), contrasts (n), greys (3), mean (3),
//          scale (3)) -> (n, 3, s, s)
void one_pass(StableIValue* stack, uint64_t, uint64_t) {
  const Tensor pixels = to<Tensor>(stack[0]), maps = to<Tensor>(stack[1]),
               matrices = to<Tensor>(stack[2]), contrasts = to<Tensor>(stack[3]),
               greys = to<Tensor>(stack[4]), mean = to<Tensor>(stack[5]), scale = to<Tensor>(stack[6]);
  const int64_t n = pixels.size(0), size = pixels.size(1);
  const int32_t f32 = aoti_torch_dtype_float32(), f64 = aoti_torch_dtype_float64();
  STD_TORCH_CHECK(
      has_dtype(pixels, aoti_torch_dtype_uint8()) && has_dtype(maps, aoti_torch_dtype_int32()) &&
          has_dtype(matrices, f32) && has_dtype(contrasts, f64) && has_dtype(greys, f64) &&
          has_dtype(mean, f32) && has_dtype(scale, f32) && pixels.dim() == 4 && size >= 2 &&
          pixels.size(2) == size && pixels.size(3) == 3 && maps.numel() == 6 * n &&
          matrices.numel() == 9 * n && contrasts.numel() == n && greys.numel() == 3 &&
          mean.numel() == 3 && scale.numel() == 3,
      "normlab_data::one_pass does not serve these tensors");
  const Tensor out = channels_last(n, size);
  const auto* images = static_cast<const uint8_t*>(pixels.data_ptr());
  const auto* map = static_cast<const int32_t*>(maps.data_ptr());
  const auto* matrix = static_cast<const float*>(matrices.data_ptr());
  const auto* contrast = static_cast<const double*>(contrasts.data_ptr());
  const auto* grey = static_cast<const double*>(greys.data_ptr());
  const auto* m = static_cast<const float*>(mean.data_ptr());
  const auto* s = static_cast<const float*>(scale.data_ptr());
  auto* result = static_cast<float*>(out.data_ptr());
  const Shape shape{size, (size + kLanes - 1) / kLanes * kLanes};
  torch::stable::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    thread_local Scratch kept;
    kept.values.resize(size_t(3 * size * shape.padded));
    kept.within.resize(size_t(size * shape.padded));
    for (int64_t i = begin; i < end; ++i) {
      int64_t totals[3] = {0, 0, 0};
      resample(images + 3 * size * size * i, map + 6 * i, shape, kept, totals);
      double mean_grey = double(totals[0]) * grey[0] + double(totals[1]) * grey[1];
      mean_grey = mean_grey + double(totals[2]) * grey[2];
      const Colours colours{matrix + 9 * i, m, s, float(contrast[i] * mean_grey)};
      recolour(kept, shape, colours, result + 3 * size * size * i);
    }
  });
  stack[0] = from(out);
}

}  // namespace

STABLE_TORCH_LIBRARY(normlab_data, m) {
  m.def(
      "one_pass(Tensor pixels, Tensor maps, Tensor matrices, Tensor contrasts, Tensor greys, "
      "Tensor mean, Tensor scale) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(normlab_data, CPU, m) { m.impl("one_pass", one_pass); }
