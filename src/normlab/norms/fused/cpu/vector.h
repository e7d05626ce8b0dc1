// One register of float32 lanes, loaded from and stored to float32 or bfloat16 memory.
//
// Written with the vector extensions of GCC and Clang, which serve every machine: the width follows
// the instruction set that the file is compiled for. Only partial loads and sums over the lanes
// have a faster form where the instruction set has one.

#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#define NORMLAB_INLINE inline __attribute__((always_inline))

namespace normlab {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef uint32_t Bits __attribute__((vector_size(kLanes * 4)));
typedef int32_t Integers __attribute__((vector_size(kLanes * 4)));
typedef uint16_t HalfBits __attribute__((vector_size(kLanes * 2)));

struct BFloat16 {
  uint16_t bits;
};

NORMLAB_INLINE Vector splat(float value) { return value - Vector{}; }

NORMLAB_INLINE Vector widen(HalfBits half) {
  return reinterpret_cast<Vector>(__builtin_convertvector(half, Bits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
NORMLAB_INLINE HalfBits narrow(Vector value) {
  const Bits bits = reinterpret_cast<Bits>(value);
  const Bits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Bits nan = (Bits{} + 0x7fc0u);
  return __builtin_convertvector(value == value ? rounded : nan, HalfBits);
}

NORMLAB_INLINE Vector load(const float* p) {
  Vector value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

NORMLAB_INLINE Vector load(const BFloat16* p) {
  HalfBits half;
  std::memcpy(&half, p, sizeof half);
  return widen(half);
}

NORMLAB_INLINE void store(float* p, Vector value) { std::memcpy(p, &value, sizeof value); }

NORMLAB_INLINE void store(BFloat16* p, Vector value) {
  const HalfBits half = narrow(value);
  std::memcpy(p, &half, sizeof half);
}

// The first `lanes` values, the other lanes 0.
NORMLAB_INLINE Vector load(const float* p, int lanes) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1u), p);
#else
  float buffer[kLanes] = {};
  for (int i = 0; i < lanes; ++i) buffer[i] = p[i];
  return load(buffer);
#endif
}

NORMLAB_INLINE Vector load(const BFloat16* p, int lanes) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return widen((HalfBits)_mm256_maskz_loadu_epi16((__mmask16)((1u << lanes) - 1u), p));
#else
  BFloat16 buffer[kLanes] = {};
  for (int i = 0; i < lanes; ++i) buffer[i] = p[i];
  return load(buffer);
#endif
}

NORMLAB_INLINE void store(float* p, Vector value, int lanes) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << lanes) - 1u), value);
#else
  float buffer[kLanes];
  store(buffer, value);
  for (int i = 0; i < lanes; ++i) p[i] = buffer[i];
#endif
}

NORMLAB_INLINE void store(BFloat16* p, Vector value, int lanes) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(p, (__mmask16)((1u << lanes) - 1u), (__m256i)narrow(value));
#else
  BFloat16 buffer[kLanes];
  store(buffer, value);
  for (int i = 0; i < lanes; ++i) p[i] = buffer[i];
#endif
}

template <bool kPartial, class T>
NORMLAB_INLINE Vector get(const T* p, int lanes) {
  if constexpr (kPartial) return load(p, lanes);
  return load(p);
}

template <bool kPartial, class T>
NORMLAB_INLINE void put(T* p, Vector value, int lanes) {
  if constexpr (kPartial)
    store(p, value, lanes);
  else
    store(p, value);
}

// value in the first `lanes` lanes, 0 (whatever value is) in the others.
NORMLAB_INLINE Vector keep(Vector value, int lanes) {
  Integers index;
  for (int i = 0; i < kLanes; ++i) index[i] = i;
  return index < lanes ? value : Vector{};
}

NORMLAB_INLINE float sum_of_lanes(Vector value) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(value);
#else
  float lane[kLanes];
  store(lane, value);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
#endif
}

// e^r for |r| ≤ ln 2 / 2.
NORMLAB_INLINE Vector exponential_near_zero(Vector r) {
  Vector p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return (p * r) * r + r + 1.0f;
}

// e^v to about 2 units in the last place; inf above 88.72, NaN for NaN. Below −87.33 it is 0, or
// subnormal where the instruction set scales by powers of two itself.
NORMLAB_INLINE Vector exponential(Vector v) {
  // 2^k·e^r, r = v − k·ln 2 in two parts.
#if defined(__AVX512F__)
  // Bounds first: ∞ − ∞ is no number. Of a NaN these two return the second operand.
  const __m512 in = _mm512_min_ps(splat(89.0f), _mm512_max_ps(splat(-104.0f), v));
  const __m512 k = _mm512_roundscale_ps(in * 1.44269504f, 8);
  const Vector r = ((Vector)in - (Vector)k * 0.693145751953125f) - (Vector)k * 1.428606765330187e-6f;
  return _mm512_scalef_ps(exponential_near_zero(r), k);
#else
  const Vector low = splat(-87.33654f), high = splat(88.72283f);
  const Vector in = v < low ? low : (v > high ? high : v);
  // Adding 1.5·2^23 rounds to an integer.
  const Vector shifted = in * 1.44269504f + 12582912.0f;
  const Vector k = shifted - 12582912.0f;
  const Vector p = exponential_near_zero((in - k * 0.693145751953125f) - k * 1.428606765330187e-6f);
  // 2^k in two factors, because k = 128 has no float.
  const Bits exponent = reinterpret_cast<Bits>(shifted) - 0x4b400000u;
  const Vector power =
      reinterpret_cast<Vector>((Bits)((Integers)(exponent - 1u + 127u) << 23)) * 2.0f;
  const Vector infinity = splat(std::numeric_limits<float>::infinity());
  const Vector value = v < low ? Vector{} : (v > high ? infinity : p * power);
  return v == v ? value : v;
#endif
}

// 1/(e + 1) for e ≥ 0; 0 from e = 2^126 on.
NORMLAB_INLINE Vector inverse_of_successor(Vector e) {
  const Vector d = e + 1.0f;
#if defined(__AVX512F__)
  // A division of 16 lanes takes as long as ten other operations: 14 bits, then a step of Newton's.
  const Vector near = _mm512_rcp14_ps(d);
  const Vector next = near + near * (splat(1.0f) - d * near);
  return d >= 8.507059e37f ? Vector{} : next;
#else
  return splat(1.0f) / d;
#endif
}

}  // namespace normlab
