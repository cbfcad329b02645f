// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/supported.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/json.h"
#include "engine/engine.h"
#include "formats/gguf/reader.h"

namespace omg {
namespace {

/// Names that a config.json ("model_type") gives to families of other names here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kConfigNames = {
    {{"mistral", "llama"},
     {"mixtral", "llama"},
     {"qwen3_moe", "qwen3moe"},
     {"gemma3_text", "gemma3"},
     {"phi", "phi2"},
     {"smollm", "llama"}}};

}  // namespace

std::optional<std::string> family_in_first_bytes(const std::string& path, std::string_view bytes) {
  if (path.ends_with(".gguf")) {
    return gguf::peek_architecture(std::as_bytes(std::span(bytes)), path);
  }
  if (!path.ends_with("config.json")) return std::nullopt;
  const json::value config = parse_json(bytes, path);
  const json::value* type =
      config.is_object() ? config.get_object().if_contains("model_type") : nullptr;
  if (type == nullptr || !type->is_string()) return std::nullopt;
  return std::string(type->get_string());
}

bool is_supported_family(std::string_view family) {
  for (const auto& [config_name, name] : kConfigNames) {
    if (family == config_name) family = name;
  }
  const auto names = supported_families();
  return std::find(names.begin(), names.end(), family) != names.end();
}

Error unsupported_family(const std::string& model, const std::string& family) {
  std::string names;
  for (const std::string_view name : supported_families()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return Error(ErrorCode::kUnsupported,
               "'" + model + "' is of the family '" + family.substr(0, 64) +
                   "', which this version cannot run, so nothing was downloaded: it runs " + names +
                   "; --any-family downloads it all the same");
}

}  // namespace omg
