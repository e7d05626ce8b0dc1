// The nearest of the descriptors in some cells, for index._Compiled: tiles of 16 descriptors, number
// by number, are multiplied with a query, and only what is nearer than the worst kept is looked at.
#pragma once

#include "lanes.h"

namespace {

constexpr int kTile = 16;

struct Tiles {
  const float* values;     // (tiles, dimensions, kTile)
  const int64_t* members;  // (tiles, kTile): which image; −1 where there is none
  const int64_t* ends;     // (cells + 1): the first tile of each cell
  int64_t dimensions, cells;
};

// The largest values of a query, falling.
struct Kept {
  float* values;
  int64_t* places;
  int64_t keep;

  void offer(float value, int64_t place) {
    if (!(value > values[keep - 1])) return;
    int64_t at = keep - 1;
    for (; at > 0 && values[at - 1] < value; --at)
      values[at] = values[at - 1], places[at] = places[at - 1];
    values[at] = value, places[at] = place;
  }
};

inline void tile(const Tiles& base, int64_t number, const float* query, int64_t own, Kept kept) {
  constexpr int kParts = kTile / kLanes;
  Floats total[kParts] = {}, more[kParts] = {};  // two chains of sums: neither waits for itself
  const float* values = base.values + number * base.dimensions * kTile;
  for (int64_t d = 0; d + 1 < base.dimensions; d += 2)
    for (int k = 0; k < kParts; ++k) {
      total[k] += load(values + d * kTile + k * kLanes) * query[d];
      more[k] += load(values + (d + 1) * kTile + k * kLanes) * query[d + 1];
    }
  const Floats least = splat(kept.values[kept.keep - 1]);
  for (int k = 0; k < kParts; ++k) {
    if (base.dimensions % 2)
      total[k] += load(values + (base.dimensions - 1) * kTile + k * kLanes) *
                  query[base.dimensions - 1];
    total[k] += more[k];
    const Ints nearer = total[k] > least;
    bool any = false;
    for (int i = 0; i < kLanes; ++i) any |= nearer[i] != 0;
    if (!any) continue;
    for (int i = 0; i < kLanes; ++i) {
      const int64_t member = base.members[number * kTile + k * kLanes + i];
      if (nearer[i] && member >= 0 && member != own) kept.offer(total[k][i], member);
    }
  }
}

// Queries first … last, each in its own cells (or all of them in the same), cell by cell, so that a
// cell stays in the processor's cache.
void search(const Tiles& base, const float* queries, const int64_t* cells, int64_t probes, bool same,
            int64_t first_image, int64_t first, int64_t last, Kept all) {
  std::vector<std::vector<int64_t>> asking(same ? 0 : size_t(base.cells));
  for (int64_t q = first; q < last && !same; ++q)
    for (int64_t p = 0; p < probes; ++p) asking[size_t(cells[q * probes + p])].push_back(q);
  std::vector<int64_t> every;
  for (int64_t q = first; q < last && same; ++q) every.push_back(q);
  for (int64_t cell = 0; cell < base.cells; ++cell)
    for (const int64_t q : same ? every : asking[size_t(cell)])
      for (int64_t number = base.ends[cell]; number < base.ends[cell + 1]; ++number)
        tile(base, number, queries + q * base.dimensions, first_image + q,
             {all.values + q * all.keep, all.places + q * all.keep, all.keep});
}

}  // namespace
