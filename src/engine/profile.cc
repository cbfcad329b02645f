// SPDX-License-Identifier: Apache-2.0
#include "engine/profile.h"

#include <algorithm>
#include <utility>

namespace omg {
namespace {

constexpr std::array<std::string_view, kOperations> kNames = {
    "embed",  "norm",        "quantise",   "qkv projection",
    "rope",   "cache write", "attention",  "output projection",
    "router", "gate and up", "activation", "down",
    "add",    "head",
};

// Parts of tensors' names (GGUF specification, "Standardized tensor names").
constexpr std::pair<std::string_view, Operation> kTensors[] = {
    {"attn_output", Operation::kAttentionOut},
    {"attn_", Operation::kQkv},
    {"ffn_gate_inp", Operation::kRouter},
    {"ffn_gate", Operation::kGateUp},
    {"ffn_up", Operation::kGateUp},
    {"ffn_down", Operation::kDown},
};

}  // namespace

std::string_view operation_name(Operation operation) {
  return kNames[static_cast<size_t>(operation)];
}

Operation operation_of_tensor(std::string_view tensor_name) {
  for (const auto& [part, operation] : kTensors) {
    if (tensor_name.find(part) != std::string_view::npos) return operation;
  }
  return Operation::kHead;
}

Work& Work::operator+=(const Work& other) {
  bytes += other.bytes;
  int8_ops += other.int8_ops;
  float_ops += other.float_ops;
  return *this;
}

double Work::least_seconds(const MachineLimits& limits) const {
  const auto seconds = [](double amount, double per_second) {
    return amount > 0 && per_second > 0 ? amount / per_second : 0.0;
  };
  const double computing = seconds(int8_ops, limits.int8_ops_per_second) +
                           seconds(float_ops, limits.float_ops_per_second);
  return std::max(seconds(bytes, limits.read_bytes_per_second), computing);
}

}  // namespace omg
