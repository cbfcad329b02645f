// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/describe.h"

#include <algorithm>

#include "base/error.h"
#include "base/hardware.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
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

void add_capability(StoredModel& model, const char* capability) {
  auto& list = model.capabilities;
  if (std::find(list.begin(), list.end(), capability) == list.end()) list.emplace_back(capability);
}

/// A template that cannot be read says nothing of the model; whoever runs it hears of it then.
void add_capabilities(const ModelFile& file, StoredModel& model) {
  add_capability(model, "completion");
  const auto source = file.metadata().find_string("tokenizer.chat_template");
  if (!source) return;
  try {
    const TemplateCapabilities can = probe_capabilities(ChatTemplate::parse(*source));
    if (can.tools) add_capability(model, "tools");
    if (can.thinking) add_capability(model, "thinking");
  } catch (const Error&) {
  }
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

std::optional<size_t> main_gguf(const StoredModel& model) {
  for (size_t i = 0; i < model.artifacts.size(); ++i) {
    const Artifact& artifact = model.artifacts[i];
    if (artifact.role == "weights" && artifact.format == "gguf") return i;
  }
  return std::nullopt;
}

uint64_t usable_memory() {
  const MemoryInfo memory = probe_memory();
  uint64_t usable = memory.available;
  if (memory.cgroup_limit) {
    const uint64_t limit = *memory.cgroup_limit;
    usable = std::min(usable, limit > memory.cgroup_used ? limit - memory.cgroup_used : 0);
  }
  return usable;
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
