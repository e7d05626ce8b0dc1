// The steps of raster.descended for one pair.
#pragma once

#include "lanes.h"

namespace {

// The damped normal equations by Cholesky's decomposition; false where there is none.
bool solve(double a[6][6], double b[6]) {
  for (int j = 0; j < 6; ++j) {
    for (int k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
    if (!(a[j][j] > 0)) return false;
    a[j][j] = std::sqrt(a[j][j]);
    for (int i = j + 1; i < 6; ++i) {
      for (int k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
      a[i][j] /= a[j][j];
    }
  }
  for (int i = 0; i < 6; ++i) {
    for (int k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (int i = 5; i >= 0; --i) {
    for (int k = i + 1; k < 6; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return true;
}

struct Descent {
  int side, steps;
  float most;
  bool robust;
  Padded image, valid;
  std::vector<float> down, right, moved, weight;

  void run(const float* moving, const float* goal, const float* seen, float* affine) {
    const int plane = side * side;
    image.fill(moving, side, false);
    valid.fill(moving + plane, side, false);
    for (auto* part : {&down, &right, &moved, &weight}) part->resize(size_t(plane));
    gradient(goal, side, down.data(), right.data());
    for (float& value : down) value *= float(side) / 2;
    for (float& value : right) value *= float(side) / 2;
    for (int step = 0; step < steps; ++step)
      if (!move(goal, seen, affine)) return;
  }

  bool move(const float* goal, const float* seen, float* affine) {
    const int plane = side * side;
    const Map map(affine, side);
    Floats count{}, first{}, second{};
    for (int row = 0; row < side; ++row)
      for (int x = 0; x < side; x += kLanes) {
        const int at = row * side + x;
        const Axis across = map.axis(0, row, x), along = map.axis(1, row, x);
        const Floats value = image.at(across, along);
        const Floats under = load(seen + at) * valid.at(across, along);
        store(moved.data() + at, value);
        store(weight.data() + at, under);
        count += under, first += value * under, second += load(goal + at) * under;
      }
    const double total = std::max(sum(count), 1.0);
    const float one = float(sum(first) / total), two = float(sum(second) / total);
    Floats power{}, strength{};
    for (int at = 0; at < plane; at += kLanes) {
      const Floats a = load(moved.data() + at) - one, b = load(goal + at) - two;
      const Floats under = load(weight.data() + at);
      power += a * a * under, strength += b * b * under;
    }
    const float scale = float(1 / std::sqrt(sum(power) / total + 1e-3));
    const float deviation = float(std::sqrt(sum(strength) / total + 1e-3));
    Floats wrong{};
    for (int at = 0; at < plane; at += kLanes) {
      const Floats a = (load(moved.data() + at) - one) * scale;
      const Floats error = a - (load(goal + at) - two) / deviation;
      store(moved.data() + at, error);
      wrong += error * error * load(weight.data() + at);
    }
    const float soft = float(4 * sum(wrong) / total + 1e-4);
    return update(affine, soft, robust ? deviation : 1.0f);
  }

  bool update(float* affine, float soft, float size) {
    const Map map(affine, side);
    // of w gx gx, w gx gy, w gy gy times x x, x y, y y, x, y, 1; of w e gx, w e gy times x, y, 1
    Floats square[3][6] = {}, downhill[2][3] = {};
    for (int row = 0; row < side; ++row) {
      const float y = map.middle(row);
      for (int first = 0; first < side; first += kLanes) {
        const int at = row * side + first;
        const Floats x = map.middles(first), error = load(moved.data() + at);
        Floats under = load(weight.data() + at);
        if (robust) under = under / (1.0f + error * error / soft);
        const Floats gx = load(right.data() + at), gy = load(down.data() + at);
        const Floats wx = under * gx, wy = under * gy;
        const Floats parts[3] = {wx * gx, wx * gy, wy * gy};
        for (int k = 0; k < 3; ++k) {
          const Floats px = parts[k] * x, py = parts[k] * y;
          square[k][0] += px * x, square[k][1] += px * y, square[k][2] += py * y;
          square[k][3] += px, square[k][4] += py, square[k][5] += parts[k];
        }
        const Floats ends[2] = {wx * error, wy * error};
        for (int k = 0; k < 2; ++k)
          downhill[k][0] += ends[k] * x, downhill[k][1] += ends[k] * y, downhill[k][2] += ends[k];
      }
    }
    constexpr int which[3][3] = {{0, 1, 3}, {1, 2, 4}, {3, 4, 5}};
    double a[6][6], b[6], trace = 0;
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j) a[i][j] = sum(square[i / 3 + j / 3][which[i % 3][j % 3]]);
    for (int i = 0; i < 6; ++i) trace += a[i][i], b[i] = sum(downhill[i / 3][i % 3]) * size;
    for (int i = 0; i < 6; ++i) a[i][i] += 0.01 * trace / 6 + 1e-3;
    if (!solve(a, b)) return false;
    for (double& value : b) value = std::clamp(value, -double(most), double(most));
    float next[6];
    for (int row = 0; row < 2; ++row) {
      const float p = affine[3 * row], q = affine[3 * row + 1];
      next[3 * row] = float(p * (1 - b[0]) - q * b[3]);
      next[3 * row + 1] = float(q * (1 - b[4]) - p * b[1]);
      next[3 * row + 2] = float(affine[3 * row + 2] - p * b[2] - q * b[5]);
    }
    std::memcpy(affine, next, sizeof next);
    return true;
  }
};

}  // namespace
