// SPDX-License-Identifier: Apache-2.0
//
// Mixture of experts on the CPU: rows are sorted by expert, every expert multiplies its rows at
// once, and each row adds up its experts in the order of their rank.
#include "engine/cpu/cpu_experts.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numeric>

#include "engine/cpu/cpu_tensors.h"
#include "engine/cpu/cpu_work.h"

namespace omg {
namespace {

/// Experts' ids by falling score, ties to the lower id; and softmax weights over the chosen ones,
/// which is the softmax over all, renormalised.
void choose_experts(const float* scores, const MoeSpec& moe, std::vector<uint32_t>& order,
                    float* weights) {
  order.resize(moe.experts);
  std::iota(order.begin(), order.end(), 0u);
  std::partial_sort(order.begin(), order.begin() + moe.experts_used, order.end(),
                    [&](uint32_t a, uint32_t b) {
                      return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
                    });
  float total = 0;
  for (uint32_t rank = 0; rank < moe.experts_used; ++rank) {
    weights[rank] = std::exp(scores[order[rank]] - scores[order[0]]);
    total += weights[rank];
  }
  for (uint32_t rank = 0; rank < moe.experts_used; ++rank) {
    weights[rank] *= moe.weights_scale / total;
  }
}

}  // namespace

CpuBackend::Routing CpuBackend::route(const ActivationsView& x, const ExpertsOp& op) {
  const size_t used = op.moe.experts_used;
  Routing routing;
  routing.count.assign(op.moe.experts, 0);
  routing.place.resize(rows_ * used);
  routing.weights.resize(rows_ * used);

  const auto& router = cpu(*op.router).slices.front();
  float* scores = experts_->scores.data();
  const Timed timed(profiler_.get(), Operation::kRouter,
                    [&] { return matmul_work(router, rows_, ActivationForm::kFloat); });
  // Routers are small and decide between whole experts: always in floats.
  pool_.run(router.panels(), 1, [&](size_t begin, size_t end, size_t) {
    matmul_.matmul(router, x, ActivationForm::kFloat, scores, op.moe.experts, begin, end);
  });
  std::vector<uint32_t> chosen(rows_ * used);
  std::vector<uint32_t> order;
  for (size_t row = 0; row < rows_; ++row) {
    choose_experts(scores + row * op.moe.experts, op.moe, order, &routing.weights[row * used]);
    std::copy_n(order.begin(), used, chosen.begin() + static_cast<ptrdiff_t>(row * used));
    for (size_t rank = 0; rank < used; ++rank) ++routing.count[order[rank]];
  }
  uint32_t end = 0;
  for (const uint32_t count : routing.count) {
    constexpr uint32_t kTile = kTileTokens;
    if (count >= ExpertScratch::kAlignedRows) end = (end + kTile - 1) / kTile * kTile;
    routing.first.push_back(end);
    end += count;
  }
  routing.source.assign(end, Routing::kNoRow);
  std::vector<uint32_t> next = routing.first;
  for (size_t i = 0; i < chosen.size(); ++i) {
    routing.place[i] = next[chosen[i]]++;
    routing.source[routing.place[i]] = static_cast<uint32_t>(i / used);
  }
  return routing;
}

void CpuBackend::multiply_experts(const Matrix& stack, const ActivationsView& x,
                                  const Routing& routing, const ActivationsView& out) {
  const auto& slices = cpu(stack).slices;
  const ActivationForm wanted = form(slices.front());
  if (wanted == ActivationForm::kInt8) quantize(x);
  // Panels of the experts that have rows, one after another; the split evens out by itself.
  std::vector<uint32_t> active;
  for (uint32_t expert = 0; expert < slices.size(); ++expert) {
    if (routing.count[expert] > 0) active.push_back(expert);
  }
  const Timed timed(profiler_.get(), cpu(stack).operation, [&] {
    Work work;
    for (const uint32_t expert : active) {
      const size_t count = routing.count[expert];
      work += matmul_work(slices[expert], count, wanted);
    }
    return work;
  });
  const size_t panels = slices.front().panels();
  pool_.run(active.size() * panels, kPanelGrain, [&](size_t begin, size_t end, size_t) {
    while (begin < end) {
      const uint32_t expert = active[begin / panels];
      const size_t panel = begin % panels;
      const size_t last = std::min(panels, panel + (end - begin));
      const size_t first = routing.first[expert];
      matmul_.matmul(slices[expert], x.slice(first, routing.count[expert]), wanted, out.row(first),
                     out.stride, panel, last);
      begin += last - panel;
    }
  });
}

uint64_t CpuBackend::experts_bytes(uint32_t max_batch_tokens, size_t width, size_t hidden,
                                   const MoeSpec& moe) {
  return ExpertScratch::bytes(size_t{max_batch_tokens} * moe.experts_used, width, hidden,
                              moe.experts);
}

void CpuBackend::prepare_experts(size_t width, size_t hidden, const MoeSpec& moe) {
  experts_ = std::make_unique<ExpertScratch>(size_t{options_.max_batch_tokens} * moe.experts_used,
                                             width, hidden, moe.experts);
  scratch_bytes_ += experts_bytes(options_.max_batch_tokens, width, hidden, moe);
}

void CpuBackend::run_experts(const Buffer& in, const ExpertsOp& op, Buffer& out) {
  const auto& x = cpu(in).activations;
  auto& y = cpu(out).activations;
  y.reshape(rows_, out.columns);
  if (rows_ == 0) return;
  const size_t used = op.moe.experts_used;
  assert(experts_);
  auto& scratch = *experts_;
  const Routing routing = route(x, op);
  const size_t sorted = routing.source.size();
  scratch.inputs.reshape(sorted, in.columns);
  scratch.gate.reshape(sorted, op.up->rows);
  scratch.up.reshape(sorted, op.up->rows);
  scratch.outputs.reshape(sorted, out.columns);

  for_rows(sorted, [&](size_t i) {
    float* input = scratch.inputs.row(i);
    if (routing.source[i] == Routing::kNoRow) {
      std::memset(input, 0, in.columns * sizeof(float));
    } else {
      std::memcpy(input, x.row(routing.source[i]), in.columns * sizeof(float));
    }
  });
  multiply_experts(*op.gate, scratch.inputs, routing, scratch.gate);
  multiply_experts(*op.up, scratch.inputs, routing, scratch.up);
  {
    const Timed timed(profiler_.get(), Operation::kActivation,
                      [&] { return row_work(sorted, op.up->rows, 3, 10); });
    const auto kernel = op.activation == Activation::kSilu ? vector_.silu_gate : vector_.gelu_gate;
    for_rows(sorted, [&](size_t i) {
      float* up = scratch.up.row(i);
      if (routing.source[i] == Routing::kNoRow) {
        std::memset(up, 0, op.up->rows * sizeof(float));
      } else {
        kernel(scratch.gate.row(i), up, op.up->rows, up);
      }
    });
  }
  multiply_experts(*op.down, scratch.up, routing, scratch.outputs);
  const Timed timed(profiler_.get(), Operation::kAdd,
                    [&] { return row_work(sorted, out.columns, 3, 2); });
  for_rows(rows_, [&](size_t row) {
    std::memset(y.row(row), 0, out.columns * sizeof(float));
    for (size_t rank = 0; rank < used; ++rank) {
      const size_t i = row * used + rank;
      vector_.add_scaled(routing.weights[i], scratch.outputs.row(routing.place[i]), out.columns,
                         y.row(row));
    }
  });
}

}  // namespace omg
