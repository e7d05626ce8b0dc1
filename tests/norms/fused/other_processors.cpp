// The compiled kernel's layers without torch: for processors that run in an emulator. See
// test_other_processors.py, which gives numbers on standard input and reads some on standard
// output.

#include <cstdio>
#include <functional>

namespace torch::stable {  // all that the kernel's headers take of torch: here without threads
inline void parallel_for(int64_t begin, int64_t end, int64_t,
                         const std::function<void(int64_t, int64_t)>& work) {
  work(begin, end);
}
}  // namespace torch::stable

#include "batch_norm.h"
#include "closed_norm.h"
#include "curved.h"

using namespace normlab;

std::vector<float> read(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  if (std::fread(values.data(), sizeof(float), values.size(), stdin) != values.size()) std::abort();
  return values;
}

void write(const std::vector<float>& values) {
  std::fwrite(values.data(), sizeof(float), values.size(), stdout);
}

int main() {
  int64_t head[5];
  if (std::fread(head, sizeof(int64_t), 5, stdin) != 5) return 1;
  const int64_t n = head[0], c = head[1], pixels = head[2];
  const bool channels_last = head[3];
  const auto activation = Activation(head[4]);
  const int64_t size = n * c * pixels;
  const auto x = read(size), residual = read(size), dy = read(size);
  const auto weight = read(c), bias = read(c), gate = read(c), mean = read(c), variance = read(c);
  const auto shares = read(6);
  const Geometry g(n, c, pixels, channels_last);
  std::vector<float> kept(size_t(5 * n * c)), found(size_t(8 * n * c)), own(size_t(2 * c));
  const Rows planes{kept.data(), n, c}, rows{found.data(), n, c};
  std::vector<float> y(x.size()), dx(x.size()), dz(x.size()), dw(c), db(c), third(c), fourth(c);
  const auto give = [&](std::initializer_list<const std::vector<float>*> more = {}) {
    for (const auto* each : {&y, &dx, &dz, &dw, &db}) write(*each);
    for (const auto* each : more) write(*each);
  };

  const auto fused = [&](bool batch, int64_t groups, bool centred, const float* gates) {
    NormRule b{n,           c,     pixels,     groups,         batch, false, centred, weight.data(),
               bias.data(), gates, own.data(), own.data() + c, 1e-5f};
    if (b.by_channel()) {
      const Rows one{kept.data(), 1, c};
      batch_forward<float>(g, b, x.data(), residual.data(), activation, y.data(), one, own.data(),
                           own.data() + c);
      batch_backward<float>(g, b, dy.data(), x.data(), residual.data(), activation, one, dx.data(),
                            dz.data(), dw.data(), db.data());
      return give();
    }
    fused_forward<float>(g, channels_last, b, x.data(), residual.data(), activation, y.data(),
                         planes, own.data(), own.data() + c);
    fused_backward<float>(g, channels_last, b, dy.data(), x.data(), residual.data(), activation,
                          planes, rows, dx.data(), dz.data(), dw.data(), db.data(), third.data());
    give();
  };
  fused(true, 0, true, nullptr);      // bn
  fused(false, c, true, nullptr);     // in
  fused(false, 2, true, nullptr);     // gn
  fused(false, 1, false, nullptr);    // rms, with a shift
  fused(true, c, true, gate.data());  // bin

  const auto closed = [&](auto kind, const float* first, const float* second) {
    using Rule = typename decltype(kind)::type;
    const RuleInputs in{n,
                        c,
                        pixels,
                        planes[kMean],
                        planes[kVariance],
                        weight.data(),
                        bias.data(),
                        first,
                        second,
                        1e-5,
                        3.0,
                        5.0};
    closed_forward<Rule, float>(g, in, x.data(), residual.data(), activation, y.data(), planes,
                                own.data());
    third.assign(3, 0.0f), fourth.assign(3, 0.0f);
    const RuleGradients gradients{rows[kP],  rows[kQ],     dw.data(),
                                  db.data(), third.data(), fourth.data()};
    closed_backward<Rule, float>(g, in, dy.data(), x.data(), residual.data(), activation, planes,
                                 rows, gradients, dx.data(), dz.data());
  };
  closed(std::common_type<BatchRenorm>{}, mean.data(), variance.data());
  give();
  closed(std::common_type<Switchable>{}, shares.data(), shares.data() + 3);
  give({&third, &fourth});
  closed(std::common_type<GlobalResponse>{}, nullptr, nullptr);
  give();

  const auto curved = [&](Curve curve, ScaleRule::Kind kind, int64_t groups) {
    const ScaleRule b{n, c, pixels, groups, kind, 1e-5, gate.data(), weight.data(), bias.data(), 1};
    curved_forward<float>(g, b, x.data(), residual.data(), activation, curve, y.data(), planes);
    curved_backward<float>(g, b, dy.data(), x.data(), residual.data(), activation, curve, planes,
                           rows, dx.data(), dz.data());
    third.assign(size_t(c), 0.0f);
    sum_samples(rows[kBySlope], b, 1, third.data());
    sum_samples(rows[kind == ScaleRule::constant ? kByScale : kByWeight], b, 1, dw.data());
    sum_samples(rows[kByOffset], b, 1, db.data());
    give({&third});
  };
  curved(Curve::threshold, ScaleRule::response, 1);  // frn
  curved(Curve::swish, ScaleRule::deviation, 2);     // evonorm-s0
  curved(Curve::tanh, ScaleRule::constant, 1);       // dyt, with a slope a channel
}
