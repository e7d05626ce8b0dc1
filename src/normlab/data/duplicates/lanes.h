// Rows of pixels in vectors of the processor; planes with a border; maps of the plane.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
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

constexpr int kLanes = NORMLAB_LANES;
typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));

inline Floats splat(float value) { return value - Floats{}; }

inline Floats load(const float* from) {
  Floats value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store(float* to, Floats value) { std::memcpy(to, &value, sizeof value); }

inline Floats lower(Floats a, Floats b) { return a < b ? a : b; }
inline Floats upper(Floats a, Floats b) { return a > b ? a : b; }

inline double sum(Floats value) {
  double total = 0;
  for (int i = 0; i < kLanes; ++i) total += value[i];
  return total;
}

inline Floats gather(const float* from, Ints place) {
#if defined(__AVX512F__)
  return (Floats)_mm512_i32gather_ps((__m512i)place, from, 4);
#elif defined(__AVX2__)
  return (Floats)_mm256_i32gather_ps(from, (__m256i)place, 4);
#else
  Floats found;
  for (int lane = 0; lane < kLanes; ++lane) found[lane] = from[place[lane]];
  return found;
#endif
}

// Where a line of pixels comes from: the nearest pixel before, and the share of the one behind.
struct Axis {
  Ints place;
  Floats share;
};

inline Axis split(Floats position, float low, float high) {
  const Floats inside = lower(upper(position, splat(low)), splat(high));
  Ints place = __builtin_convertvector(inside, Ints);  // towards zero
  place += __builtin_convertvector(place, Floats) > inside;
  return {place, inside - __builtin_convertvector(place, Floats)};
}

inline Floats lerp(Floats a, Floats b, Floats share) { return a + (b - a) * share; }

// A plane with a border of zeros (or repeated), so that what is beyond needs no questions.
struct Padded {
  std::vector<float> values;
  int side = 0, stride = 0;

  void fill(const float* plane, int s, bool repeat) {
    side = s, stride = s + 3;
    values.assign(size_t(stride * stride), 0.0f);
    for (int row = 0; row < stride; ++row) {
      const int own = row - 1;
      if (!repeat && (own < 0 || own >= s)) continue;
      const float* line = plane + std::clamp(own, 0, s - 1) * s;
      float* out = values.data() + row * stride;
      std::memcpy(out + 1, line, size_t(s) * 4);
      if (repeat) out[0] = line[0], out[s + 1] = out[s + 2] = line[s - 1];
    }
  }

  Floats at(const Axis& x, const Axis& y) const {
    const Ints near = (y.place + 1) * stride + x.place + 1;
    const float* v = values.data();
    const Floats top = lerp(gather(v, near), gather(v, near + 1), x.share);
    const Floats bottom = lerp(gather(v, near + stride), gather(v, near + stride + 1), x.share);
    return lerp(top, bottom, y.share);
  }
};

// The pixels that lie at A (x, y), a row of lanes from `first` on.
struct Map {
  const float* affine;
  int side;
  Floats lane;

  Map(const float* a, int s) : affine(a), side(s) {
    for (int i = 0; i < kLanes; ++i) lane[i] = float(i);
  }

  float middle(int pixel) const { return (float(pixel) + 0.5f) * (2.0f / float(side)) - 1.0f; }
  Floats middles(int first) const { return (lane + (float(first) + 0.5f)) * (2.0f / float(side)) - 1.0f; }

  Axis axis(int coordinate, int row, int first) const {
    const float* a = affine + 3 * coordinate;
    const Floats place = middles(first) * a[0] + (middle(row) * a[1] + a[2]);
    const Floats pixel = ((place + 1.0f) * float(side) - 1.0f) * 0.5f;
    return split(pixel, -1.0f, float(side));
  }
};

// Central differences, one-sided at the border.
void gradient(const float* plane, int side, float* down, float* right) {
  for (int row = 0; row < side; ++row) {
    const float* line = plane + row * side;
    const int above = row > 0 ? -side : 0, below = row < side - 1 ? side : 0;
    const float scale = above && below ? 0.5f : 1.0f;
    for (int x = 0; x < side; ++x) down[row * side + x] = (line[x + below] - line[x + above]) * scale;
    float* out = right + row * side;
    for (int x = 1; x < side - 1; ++x) out[x] = (line[x + 1] - line[x - 1]) * 0.5f;
    out[0] = line[1] - line[0];
    out[side - 1] = line[side - 1] - line[side - 2];
  }
}

}  // namespace
