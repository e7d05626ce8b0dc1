// From a tensor to tiles and back: how the sweeps are laid over the memory and over the threads.
//
// The tiles depend on the shape alone, never on the number of threads, and partial results are
// added in a fixed order: the same numbers come out however many threads there are.

#pragma once

#include <vector>

#include <torch/csrc/stable/ops.h>

#include "sweeps.h"

namespace normlab {

constexpr int64_t kTileValues = 8192;      // a tile of three tensors stays in the first two caches
constexpr int64_t kValuesPerTask = 32768;  // less than this is not worth waking a thread

// NCHW memory is N·C samples of one channel; channels_last memory is N samples of C channels.
struct Geometry {
  int64_t channels_of_x;  // C
  int64_t samples, channels, pixels;
  Period period;
  int64_t rows;   // pixels of a tile
  int64_t tiles;  // of a sample

  Geometry(int64_t n, int64_t c, int64_t m, bool channels_last)
      : channels_of_x(c),
        samples(channels_last ? n : n * c),
        channels(channels_last ? c : 1),
        pixels(m),
        period(channels) {
    rows = std::max<int64_t>(kTileValues / period.width, 1) * period.copies;
    tiles = (pixels + rows - 1) / rows;
  }
  int64_t rows_of(int64_t tile) const { return std::min(rows, pixels - tile * rows); }
  int64_t start_of(int64_t sample, int64_t tile) const {
    return (sample * pixels + tile * rows) * channels;
  }
};

// An N×C tensor of any strides.
struct PlaneValues {
  const float* data;
  int64_t sample_stride, channel_stride;
};

template <class T>
T* moved(T* pointer, int64_t by) {
  return pointer ? pointer + by : nullptr;
}

// The coefficients of a sample as the sweeps want them.
template <int C>
NORMLAB_INLINE void lay_out(const PlaneValues (&values)[C], int64_t sample, const Geometry& g,
                            float* to) {
  if (g.channels == 1) {
    const int64_t n = sample / g.channels_of_x, c = sample % g.channels_of_x;
    for (int i = 0; i < C; ++i)
      to[i] = values[i].data[n * values[i].sample_stride + c * values[i].channel_stride];
    return;
  }
  for (int i = 0; i < C; ++i, to += g.period.padded) {
    const float* from = values[i].data + sample * values[i].sample_stride;
    for (int64_t c = 0; c < g.channels; ++c) to[c] = from[c * values[i].channel_stride];
    g.period.repeat(to);
  }
}

// One tile, with its coefficients laid out; the sums are one after another, `sums_apart`.
template <class Operation>
NORMLAB_INLINE void sweep(const Operation& operation, int64_t pixels, const Geometry& g,
                          const float* coefficients, float* sums) {
  if (g.channels == 1)
    sweep_plane(operation, pixels, coefficients, sums);
  else
    sweep_pixels(operation, pixels, g.period, coefficients, sums);
}

// How far apart the coefficients, or the sums, of different kinds lie.
inline int64_t apart(const Geometry& g) { return g.channels == 1 ? 1 : g.period.padded; }

// Working memory of the calling thread for `count` kinds, aligned to registers, kept for reuse.
inline float* scratch(int64_t count, const Geometry& g) {
  thread_local std::vector<float> memory;
  const size_t needed = size_t(count * g.period.padded + 16);
  if (memory.size() < needed) memory.resize(needed);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

// work(sample, first tile, last tile) on pieces of the samples, in torch's threads; `memory` is
// scratch for `count` kinds of coefficients and sums.
template <class Work>
void for_tiles(const Geometry& g, int64_t count, const Work& work) {
  const int64_t values = std::min(g.rows, g.pixels) * g.channels;
  const int64_t grain = std::max<int64_t>(kValuesPerTask / values, 1);
  torch::stable::parallel_for(0, g.samples * g.tiles, grain, [&](int64_t begin, int64_t end) {
    float* memory = scratch(count, g);
    while (begin < end) {
      const int64_t sample = g.tiles == 1 ? begin : begin / g.tiles;
      const int64_t first = begin - sample * g.tiles;
      const int64_t last = std::min(g.tiles, first + end - begin);
      work(sample, first, last, memory);
      begin += last - first;
    }
  });
}

// work(sample, tile, memory, first, second) gives two results per channel of every tile; combine
// makes two per sample and channel of them. The partial results are float64, so that combining
// many tiles costs no digits.
template <class Work, class Combine>
void reduce_tiles(const Geometry& g, int64_t count, float* first, float* second, const Work& work,
                  const Combine& combine) {
  if (g.tiles == 1) {
    for_tiles(g, count, [&](int64_t sample, int64_t, int64_t, float* memory) {
      work(sample, 0, memory, first + sample * g.channels, second + sample * g.channels);
    });
    return;
  }
  std::vector<double> partial(size_t(2 * g.samples * g.tiles * g.channels));
  double* a = partial.data();
  double* b = a + partial.size() / 2;
  for_tiles(g, count, [&](int64_t sample, int64_t begin, int64_t end, float* memory) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t at = (sample * g.tiles + tile) * g.channels;
      work(sample, tile, memory, a + at, b + at);
    }
  });
  for (int64_t sample = 0; sample < g.samples; ++sample)
    for (int64_t c = 0; c < g.channels; ++c) {
      const int64_t at = sample * g.tiles * g.channels + c;
      combine(a + at, b + at, first[sample * g.channels + c], second[sample * g.channels + c]);
    }
}

template <class T>
void statistics(const Geometry& g, const T* x, float* mean, float* variance) {
  reduce_tiles(
      g, 3, mean, variance,
      [&](int64_t sample, int64_t tile, float* about, auto* tile_mean, auto* tile_variance) {
        // The mean, then the deviations from it while the tile is in cache: no cancellation.
        using Real = std::remove_reference_t<decltype(*tile_mean)>;
        const int64_t pixels = g.rows_of(tile);
        const T* from = x + g.start_of(sample, tile);
        const float inverse = 1.0f / float(pixels);
        float *deviation = about + apart(g), *square = deviation + apart(g);
        sweep(Sum<T>{from}, pixels, g, nullptr, about);
        for (int64_t c = 0; c < g.channels; ++c) about[c] *= inverse;
        g.period.repeat(about);
        sweep(Spread<T>{from}, pixels, g, about, deviation);
        for (int64_t c = 0; c < g.channels; ++c) {
          const float shift = deviation[c] * inverse;
          const float spread = square[c] * inverse - shift * shift;
          tile_mean[c] = Real(about[c]) + shift;
          tile_variance[c] = spread < 0.0f ? 0.0f : spread;  // NaN stays NaN
        }
      },
      [&](const double* means, const double* variances, float& mean_, float& variance_) {
        double m = 0, squares = 0, count = 0;  // Chan et al. 1979
        for (int64_t tile = 0; tile < g.tiles; ++tile) {
          const double pixels = double(g.rows_of(tile)), total = count + pixels;
          const double delta = means[tile * g.channels] - m;
          m += delta * pixels / total;
          squares += variances[tile * g.channels] * pixels + delta * delta * count * pixels / total;
          count = total;
        }
        mean_ = float(m);
        variance_ = float(squares / count);
      });
}

// make(at) is the operation on the tile that begins there.
template <int C, class Make>
void sum_tiles(const Geometry& g, const PlaneValues (&values)[C], const Make& make, float* s1,
               float* s2) {
  reduce_tiles(
      g, C + 2, s1, s2,
      [&](int64_t sample, int64_t tile, float* coefficients, auto* tile_s1, auto* tile_s2) {
        float *first = coefficients + C * apart(g), *second = first + apart(g);
        lay_out(values, sample, g, coefficients);
        sweep(make(g.start_of(sample, tile)), g.rows_of(tile), g, coefficients, first);
        std::copy_n(first, g.channels, tile_s1);
        std::copy_n(second, g.channels, tile_s2);
      },
      [&](const double* a, const double* b, float& s1_, float& s2_) {
        double total1 = 0, total2 = 0;
        for (int64_t tile = 0; tile < g.tiles; ++tile) {
          total1 += a[tile * g.channels];
          total2 += b[tile * g.channels];
        }
        s1_ = float(total1);
        s2_ = float(total2);
      });
}

template <int C, class Make>
void map_tiles(const Geometry& g, const PlaneValues (&values)[C], const Make& make) {
  for_tiles(g, C, [&](int64_t sample, int64_t begin, int64_t end, float* coefficients) {
    lay_out(values, sample, g, coefficients);
    for (int64_t tile = begin; tile < end; ++tile)
      sweep(make(g.start_of(sample, tile)), g.rows_of(tile), g, coefficients, nullptr);
  });
}

template <class T>
void affine(const Geometry& g, const T* x, PlaneValues center, PlaneValues scale,
            PlaneValues offset, const T* residual, Activation activation, T* y) {
  const PlaneValues values[3] = {center, scale, offset};
  map_tiles(g, values, [=](int64_t at) {
    return Affine<T>{x + at, moved(residual, at), y + at, activation};
  });
}

template <class T>
void sums(const Geometry& g, const T* dy, const T* x, PlaneValues center, const T* pivot,
          Activation activation, float* s1, float* s2) {
  const PlaneValues values[1] = {center};
  const auto make = [=](int64_t at) {
    return GradientSums<T>{dy + at, x + at, moved(pivot, at), activation};
  };
  sum_tiles(g, values, make, s1, s2);
}

template <class T>
void affine_backward(const Geometry& g, const T* dy, const T* x, PlaneValues center,
                     const T* pivot, PlaneValues scale, PlaneValues p, PlaneValues q,
                     Activation activation, T* dx, T* dz) {
  const PlaneValues values[4] = {center, scale, p, q};
  map_tiles(g, values, [=](int64_t at) {
    return AffineBackward<T>{dy + at, x + at, moved(pivot, at), dx + at,
                             moved(dz, at), activation};
  });
}

}  // namespace normlab
