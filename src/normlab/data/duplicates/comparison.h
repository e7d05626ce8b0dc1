// The windows of verification.compared for one pair.
#pragma once

#include "lanes.h"

namespace {

// The constants of verification.py.
constexpr int kSide = 64, kPlane = kSide * kSide, kCells = 16, kWindows = 15, kSoftened = 6;
constexpr float kPixel = 1.35f, kClipped = 250.0f, kRadius = 0.94f, kStraight = 0.03f;
constexpr float kNoise = 4.0f, kMisplaced = 0.3f, kLeastGain = 0.6f;

// A binomial of five pixels each way; the border is repeated.
void blur(const float* plane, float* out) {
  thread_local float lines[kPlane], line[kSide + 4];
  for (int row = 0; row < kSide; ++row) {
    const float* own = plane + row * kSide;
    std::memcpy(line + 2, own, kSide * 4);
    line[0] = line[1] = own[0], line[kSide + 2] = line[kSide + 3] = own[kSide - 1];
    for (int x = 0; x < kSide; x += kLanes) {
      const Floats ends = load(line + x) + load(line + x + 4);
      const Floats next = load(line + x + 1) + load(line + x + 3);
      store(lines + row * kSide + x, (ends + next * 4.0f + load(line + x + 2) * 6.0f) * 0.0625f);
    }
  }
  for (int row = 0; row < kSide; ++row) {
    const float* part[5];
    for (int k = 0; k < 5; ++k) part[k] = lines + std::clamp(row + k - 2, 0, kSide - 1) * kSide;
    for (int x = 0; x < kSide; x += kLanes) {
      const Floats ends = load(part[0] + x) + load(part[4] + x);
      const Floats next = load(part[1] + x) + load(part[3] + x);
      store(out + row * kSide + x, (ends + next * 4.0f + load(part[2] + x) * 6.0f) * 0.0625f);
    }
  }
}

// p + share (B p − p)
void soften(float* plane, float share) {
  thread_local float soft[kPlane];
  blur(plane, soft);
  for (int i = 0; i < kPlane; i += kLanes) {
    const Floats own = load(plane + i);
    store(plane + i, own + (load(soft + i) - own) * share);
  }
}

void greys(const float* three, float* out) {
  for (int i = 0; i < kPlane; i += kLanes)
    store(out + i, (load(three + i) + load(three + kPlane + i) + load(three + 2 * kPlane + i)) / 3.0f);
}

// Sums over the 16×16 cells of 4×4 pixels.
void cells(const float* plane, float* out) {
  float line[kSide];
  for (int row = 0; row < kCells; ++row) {
    const float* own = plane + 4 * row * kSide;
    for (int x = 0; x < kSide; x += kLanes)
      store(line + x, load(own + x) + load(own + kSide + x) + load(own + 2 * kSide + x) +
                          load(own + 3 * kSide + x));
    for (int x = 0; x < kCells; ++x)
      out[row * kCells + x] = line[4 * x] + line[4 * x + 1] + line[4 * x + 2] + line[4 * x + 3];
  }
}

struct Result {
  float worst, agreement, detail;
};

struct Comparison {
  float source[3 * kPlane], target[3 * kPlane], under[kPlane], a[kPlane], b[kPlane];
  float down[kPlane], right[kPlane], slope[kPlane], product[kPlane], wrong[kPlane];
  float gain, x0[3 * kCells * kCells], y0[3 * kCells * kCells], cover[kCells * kCells];
  float from_level, to_level;
  Padded plane;

  // one and two: three channels and what is valid
  Result run(const float* one, const float* two, const float* affine, bool tilted,
             const float* squash, float noise, bool soft) {
    warp(one, two, affine, tilted, squash);
    const float area = affine[0] * affine[4] - affine[1] * affine[3];
    const float zoom = 1 / std::max(std::abs(area), 1e-3f);
    const float more = std::clamp(kPixel * (zoom - 1), -1.0f, 1.0f);
    for (int c = 0; c < 3 && more != 0; ++c)
      soften((more > 0 ? target : source) + c * kPlane, std::abs(more));
    if (soft) equally_soft();
    expose();
    differences();
    return windows(kNoise * kNoise * noise * noise);
  }

  void warp(const float* one, const float* two, const float* affine, bool tilted,
            const float* squash) {
    std::memcpy(target, two, sizeof target);
    const Map map(affine, kSide);
    for (int c = 0; c < 4; ++c) {
      plane.fill(one + c * kPlane, kSide, c < 3);
      for (int row = 0; row < kSide; ++row)
        for (int x = 0; x < kSide; x += kLanes) {
          Axis across = map.axis(0, row, x), along = map.axis(1, row, x);
          const Floats value = plane.at(across, along);
          const int at = row * kSide + x;
          if (c < 3) {
            store(source + c * kPlane + at, value);
            continue;
          }
          Floats seen = value > 0.95f ? load(two + 3 * kPlane + at) : Floats{};
          if (tilted) {
            const Floats u = map.middles(x) / squash[0];
            const float v = map.middle(row) / squash[1];
            seen = u * u + v * v <= kRadius * kRadius ? seen : Floats{};
          }
          store(under + at, seen);
        }
    }
  }

  // The mean square of luminance less its blurred self, where it is valid.
  float finest(const float* three) {
    greys(three, a);
    blur(a, b);
    Floats fine{}, count{};
    for (int i = 0; i < kPlane; i += kLanes) {
      const Floats part = load(a + i) - load(b + i), seen = load(under + i);
      fine += part * part * seen, count += seen;
    }
    return float(sum(fine) / std::max(sum(count), 1.0));
  }

  void equally_soft() {
    const float first = finest(source), second = finest(target);
    float* now = second > first ? target : source;
    float have = std::sqrt(std::max(first, second));
    const float wanted = std::sqrt(std::min(first, second));
    for (int round = 0; round < kSoftened && have > wanted; ++round) {
      // finest leaves now's grey blurred in b; the blur of the mean is the mean of the blurs
      finest(now);
      blur(b, down);
      Floats fine{}, count{};
      for (int i = 0; i < kPlane; i += kLanes) {
        const Floats part = load(b + i) - load(down + i), seen = load(under + i);
        fine += part * part * seen, count += seen;
      }
      const float left = std::sqrt(float(sum(fine) / std::max(sum(count), 1.0)));
      const float part = std::clamp((have - wanted) / std::max(have - left, 1e-3f), 0.0f, 1.0f);
      for (int c = 0; c < 3; ++c) soften(now + c * kPlane, part);
      have = part < 1 ? wanted : left;
    }
  }

  void expose() {
    constexpr int kCount = 3 * kCells * kCells;
    float weight[kCount], now[kCount];
    cells(under, cover);
    for (int c = 0; c < 3; ++c)
      for (int which = 0; which < 2; ++which) {
        const float* picture = (which ? target : source) + c * kPlane;
        for (int i = 0; i < kPlane; i += kLanes)
          store(product + i, load(picture + i) * load(under + i));
        float* out = (which ? y0 : x0) + c * kCells * kCells;
        cells(product, out);
        for (int i = 0; i < kCells * kCells; ++i) out[i] /= 16 * std::max(cover[i] / 16, 1e-3f);
      }
    for (int i = 0; i < kCount; ++i) now[i] = weight[i] = cover[i % (kCells * kCells)] / 16;
    for (int round = 0; round < 4; ++round) {
      Floats count{}, first{}, second{};
      for (int i = 0; i < kCount; i += kLanes) {
        const Floats own = load(now + i);
        count += own, first += load(x0 + i) * own, second += load(y0 + i) * own;
      }
      const double total = std::max(sum(count), 1e-3);
      from_level = float(sum(first) / total), to_level = float(sum(second) / total);
      Floats both{}, alone{};
      for (int i = 0; i < kCount; i += kLanes) {
        const Floats own = load(now + i), x = load(x0 + i) - from_level;
        both += x * (load(y0 + i) - to_level) * own, alone += x * x * own;
      }
      gain = float((sum(both) / total + 1) / (sum(alone) / total + 1));
      gain = std::clamp(gain, kLeastGain, 1 / kLeastGain);
      Floats scale{};
      for (int i = 0; i < kCount; i += kLanes) {
        const Floats error = (load(x0 + i) - from_level) * gain + to_level - load(y0 + i);
        scale += error * error * load(now + i);
      }
      const float half = float(2 * sum(scale) / total + 4);
      for (int i = 0; i < kCount; i += kLanes) {
        const Floats error = (load(x0 + i) - from_level) * gain + to_level - load(y0 + i);
        store(now + i, load(weight + i) / (1.0f + error * error / half));
      }
    }
  }

  // `wrong`, a and b: the pictures' luminance, the source as exposed
  void differences() {
    for (int i = 0; i < kPlane; i += kLanes) {
      Floats error[3], grey{}, own{}, goal{};
      for (int c = 0; c < 3; ++c) {
        const Floats seen = load(source + c * kPlane + i), other = load(target + c * kPlane + i);
        const Floats shown = (seen - from_level) * gain + to_level;
        const Floats zero{};
        Floats part = lower(upper(shown, zero), splat(255.0f)) - other;
        part = ((other >= kClipped) & (part > zero)) ? zero : part;
        part = ((seen >= kClipped) & (part < zero)) ? zero : part;
        error[c] = part, grey += part, own += shown, goal += other;
      }
      grey = grey / 3.0f;
      Floats colour{};
      for (int c = 0; c < 3; ++c) colour += (error[c] - grey) * (error[c] - grey);
      store(wrong + i, grey * grey + colour * (0.5f / 3.0f));
      store(a + i, own / 3.0f);
      store(b + i, goal / 3.0f);
    }
  }

  // λ₂/λ₁ of Σ ∇ ∇ᵀ from the slopes in `down` and `right`
  bool straight() const {
    Floats xx{}, yy{}, xy{};
    for (int i = 0; i < kPlane; i += kLanes) {
      const Floats gx = load(right + i), gy = load(down + i), seen = load(under + i);
      xx += gx * gx * seen, yy += gy * gy * seen, xy += gx * gy * seen;
    }
    const double p = sum(xx), q = sum(yy), r = sum(xy);
    const double root = std::sqrt((p - q) * (p - q) + 4 * r * r);
    return (p + q - root) / std::max(p + q + root, 1e-3) < kStraight;
  }

  Result windows(float noise) {
    gradient(a, kSide, down, right);
    const bool first_straight = straight();
    for (int i = 0; i < kPlane; i += kLanes)
      store(slope + i, load(down + i) * load(down + i) + load(right + i) * load(right + i));
    gradient(b, kSide, down, right);
    const bool shapely = !first_straight && !straight();
    for (int i = 0; i < kPlane; i += kLanes)
      store(slope + i, lower(load(slope + i),
                             load(down + i) * load(down + i) + load(right + i) * load(right + i)));
    float kept[7][kCells * kCells];
    for (int k = 0; k < 7; ++k) {
      for (int i = 0; i < kPlane; i += kLanes) {
        const Floats p = load(a + i), q = load(b + i);
        const Floats value = k == 0   ? load(wrong + i)
                             : k == 1 ? load(slope + i)
                             : k == 2 ? p
                             : k == 3 ? q
                             : k == 4 ? p * p
                             : k == 5 ? q * q
                                      : p * q;
        store(product + i, value * load(under + i));
      }
      cells(product, kept[k]);
    }
    double total = 0, agreeing = 0;
    float worst = -1;
    const auto window = [](const float* grid, int at) {
      return (grid[at] + grid[at + 1] + grid[at + kCells] + grid[at + kCells + 1]) / 64;
    };
    for (int row = 0; row < kWindows; ++row)
      for (int x = 0; x < kWindows; ++x) {
        const int at = row * kCells + x;
        const float share = window(cover, at);
        if (!(share > 0.5f)) continue;
        float mean[7];
        for (int k = 0; k < 7; ++k) mean[k] = window(kept[k], at) / share;
        worst = std::max(worst, mean[0] / (noise + kMisplaced * kMisplaced * mean[1]));
        const float first = std::max(mean[4] - mean[2] * mean[2], 1.0f);
        const float second = std::max(mean[5] - mean[3] * mean[3], 1.0f);
        const float alike = (mean[6] - mean[2] * mean[3]) / std::sqrt(first * second);
        const float least = std::min(first, second) - 1, weight = least / (least + noise);
        total += weight, agreeing += weight * alike;
      }
    if (worst < 0) worst = std::numeric_limits<float>::infinity();
    return {worst, float(agreeing / std::max(total, 1e-3)), shapely ? float(total / 4) : 0.0f};
  }
};

}  // namespace
