// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/describe.h"

#include <algorithm>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "formats/fill_in_tokens.h"
#include "formats/open_model_file.h"
#include "formats/weight_mixture.h"
#include "text/template/capabilities.h"
#include "text/template/chat_template.h"

namespace omg {
namespace {

constexpr std::string_view kMemoryKey = "memory";  // in StoredModel::extra

/// The name of the mixture that "general.file_type" stands for, or "".
std::string quantization_of(const ModelFile& file) {
  const auto type = file.metadata().find_u32("general.file_type");
  for (const std::string_view name : WeightMixture::names()) {
    const auto mixture = WeightMixture::from_name(name);
    if (type && mixture && mixture->file_type() == *type) return std::string(name);
  }
  return "";
}

void add_capability(StoredModel& model, const std::string& capability) {
  auto& list = model.capabilities;
  if (std::find(list.begin(), list.end(), capability) == list.end()) list.push_back(capability);
}

/// Whoever has a token before the hole has those around the rest of it too.
bool can_insert(const Metadata& metadata) {
  const FillInName& name = kFillInPrefix;
  if (metadata.contains(name.key) || metadata.contains(name.older_key)) return true;
  const MetadataArray* tokens = metadata.find_array("tokenizer.ggml.tokens");
  if (tokens == nullptr) return false;
  return std::any_of(tokens->strings.begin(), tokens->strings.end(), [&](std::string_view token) {
    constexpr size_t kLongest = 24;
    return !token.empty() && token.size() <= kLongest &&
           std::find(name.texts.begin(), name.texts.end(), token) != name.texts.end();
  });
}

void add_capabilities(const ModelFile& file, StoredModel& model) {
  for (const std::string& can : capabilities_of(file.metadata())) add_capability(model, can);
  const auto source = file.metadata().find_string("tokenizer.chat_template");
  if (!source) return;
  for (const std::string& can : template_capabilities(*source)) add_capability(model, can);
}

void add_plan(const ModelFile& file, StoredModel& model) {
  try {
    const MemoryPlan plan = plan_memory(file);
    model.extra[kMemoryKey] = {{"weights", plan.weights_bytes},
                               {"scratch", plan.scratch_bytes},
                               {"kv_per_token", plan.kv_bytes_per_token}};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
  }
}

}  // namespace

void describe_from_file(const std::string& path, StoredModel& model) {
  const ModelFile file = open_model_file(path);
  const Metadata& metadata = file.metadata();
  const auto text = [&](std::string_view key) {
    return std::string(metadata.find_string(key).value_or(""));
  };
  if (model.family.empty()) model.family = text("general.architecture");
  if (model.context_length == 0) {
    model.context_length = metadata.find_u32(model.family + ".context_length").value_or(0);
  }
  if (model.parameter_count == 0) model.parameter_count = file.parameter_count();
  if (model.quantization.empty()) model.quantization = quantization_of(file);
  if (model.license.empty()) model.license = text("general.license");
  add_capabilities(file, model);
  add_plan(file, model);
}

std::vector<std::string> capabilities_of(const Metadata& metadata) {
  const std::string family(metadata.find_string("general.architecture").value_or(""));
  if (metadata.contains(family + ".pooling_type")) return {"embedding"};
  std::vector<std::string> list = {"completion"};
  if (can_insert(metadata)) list.emplace_back("insert");
  return list;
}

std::vector<std::string> template_capabilities(std::string_view source) {
  std::vector<std::string> list;
  try {
    const TemplateCapabilities can = probe_capabilities(ChatTemplate::parse(source));
    if (can.tools) list.emplace_back("tools");
    if (can.thinking) list.emplace_back("thinking");
  } catch (const Error&) {  // whoever runs it hears of it then
  }
  return list;
}

std::optional<size_t> main_gguf(const StoredModel& model) {
  for (size_t i = 0; i < model.artifacts.size(); ++i) {
    const Artifact& artifact = model.artifacts[i];
    if (artifact.role == "weights" && artifact.format == "gguf") return i;
  }
  return std::nullopt;
}

std::optional<ModelFit> fit_of(const StoredModel& model, uint64_t context, uint64_t usable_bytes) {
  const json::value* memory = model.extra.if_contains(kMemoryKey);
  if (memory == nullptr || !memory->is_object()) return std::nullopt;
  const auto number = [&](const char* key) -> uint64_t {
    const json::value* value = memory->get_object().if_contains(key);
    boost::system::error_code ignored;
    return value ? value->to_number<uint64_t>(ignored) : 0;
  };
  if (model.context_length > 0) context = std::min(context, model.context_length);
  MemoryPlan plan;
  plan.weights_bytes = number("weights");
  plan.scratch_bytes = number("scratch");
  plan.kv_bytes_per_token = number("kv_per_token");
  const uint64_t bytes = plan.total_bytes(context);
  return ModelFit{bytes, bytes <= usable_bytes};
}

}  // namespace omg
