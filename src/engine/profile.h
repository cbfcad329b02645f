// SPDX-License-Identifier: Apache-2.0
//
// Where an engine's time went, by operation, and what the machine could do at most: the figures
// behind OMG_PROFILE. Plain data; an engine that profiles fills it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace omg {

/// What all threads of an engine reach together, measured by loops that do nothing else.
struct MachineLimits {
  double read_bytes_per_second = 0;  // from memory
  double int8_ops_per_second = 0;    // multiplications and additions of int8 dot products
  double float_ops_per_second = 0;   // of 32-bit fused multiply-adds, two each
};

/// The parts of a step, in the order in which a layer runs them.
enum class Operation : uint8_t {
  kEmbed,
  kNorm,
  kQuantize,  // activations to int8, where no other operation does it on the way
  kQkv,
  kRope,
  kCacheWrite,
  kAttention,
  kAttentionOut,
  kRouter,
  kGateUp,
  kActivation,
  kDown,
  kAdd,
  kHead,
};
inline constexpr size_t kOperations = static_cast<size_t>(Operation::kHead) + 1;

/// "qkv projection"
std::string_view operation_name(Operation operation);
/// The operation that multiplies with a weight of this name: "blk.7.attn_q.weight" is kQkv.
Operation operation_of_tensor(std::string_view tensor_name);

/// What an operation has to move and compute, as its sizes say, whatever the kernel does.
struct Work {
  double bytes = 0;  // read and written, each once
  double int8_ops = 0;
  double float_ops = 0;

  Work& operator+=(const Work& other);
  /// Seconds that it takes at the limits: computing and reading overlap.
  double least_seconds(const MachineLimits& limits) const;
};

struct OperationProfile {
  uint64_t calls = 0;
  double seconds = 0;  // of wall time, waiting for the last thread included
  Work work;
};

/// Steps of one kind.
struct PhaseProfile {
  uint64_t steps = 0;
  uint64_t tokens = 0;
  double seconds = 0;  // from the begin of each step to the end of its last operation
  std::array<OperationProfile, kOperations> operations = {};
};

struct Profile {
  MachineLimits limits;
  PhaseProfile prompt;      // steps with more than one token of some sequence
  PhaseProfile generation;  // steps with one token of each
};

}  // namespace omg
