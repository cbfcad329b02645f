// SPDX-License-Identifier: Apache-2.0
//
// What a model file says about itself, read without loading it: for `omg show` and the REPL's
// `/show info`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "clients/cli/terminal.h"

namespace omg::cli {

struct TensorDetails {
  std::string name;
  std::string type;
  std::vector<uint64_t> shape;  // in the file's order: shape[0] is the length of a row
  uint64_t bytes = 0;
};

struct TypeShare {
  std::string type;
  uint64_t tensors = 0;
  uint64_t bytes = 0;
};

struct ModelDetails {
  std::string path;
  std::string name;
  std::string family;
  /// Why this build cannot run the model; empty when it can.
  std::string cannot_run;
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  uint32_t files = 1;
  std::vector<TypeShare> types;  // largest first
  std::optional<uint32_t> context_length, embedding_length, layers, heads, kv_heads, experts,
      experts_used;
  uint64_t vocab_size = 0;
  std::string tokenizer;
  std::optional<std::string> chat_template;
  std::string license;
  std::vector<TensorDetails> tensors;
};

/// Throws Error when the file is missing, broken or of no known format; a family that cannot run is
/// no error.
ModelDetails read_model_details(const std::string& path);

json::object details_to_json(const ModelDetails& details, bool with_tensors);
std::string details_to_text(const ModelDetails& details, const Terminal& terminal);

}  // namespace omg::cli
