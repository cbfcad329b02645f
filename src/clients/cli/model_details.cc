// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/model_details.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "base/error.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"
#include "clients/cli/text_source.h"
#include "engine/engine.h"
#include "formats/open_model_file.h"

namespace omg::cli {
namespace {

std::string string_of(const Metadata& metadata, std::string_view key) {
  return std::string(metadata.find_string(key).value_or(""));
}

void read_tensors(const ModelFile& file, ModelDetails& details) {
  std::map<std::string, TypeShare> shares;
  for (const TensorView& tensor : file.tensors()) {
    TensorDetails row;
    row.name = tensor.name;
    row.type = info(tensor.type).name;
    row.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.rank);
    row.bytes = tensor.bytes.size();
    TypeShare& share = shares[row.type];
    share.type = row.type;
    share.tensors += 1;
    share.bytes += row.bytes;
    details.tensors.push_back(std::move(row));
  }
  for (auto& [type, share] : shares) details.types.push_back(share);
  std::stable_sort(details.types.begin(), details.types.end(),
                   [](const TypeShare& a, const TypeShare& b) { return a.bytes > b.bytes; });
}

void read_sizes(const Metadata& metadata, ModelDetails& details) {
  const auto find = [&](std::string_view key) {
    return metadata.find_u32(details.family + "." + std::string(key));
  };
  details.context_length = find("context_length");
  details.embedding_length = find("embedding_length");
  details.layers = find("block_count");
  // Some families give one number per layer; then no single one is shown.
  const auto find_scalar = [&](std::string_view key) -> std::optional<uint32_t> {
    const std::string full = details.family + "." + std::string(key);
    const MetadataValue* value = metadata.find(full);
    if (value != nullptr && value->type == MetadataType::kArray) return std::nullopt;
    return metadata.find_u32(full);
  };
  details.heads = find_scalar("attention.head_count");
  details.kv_heads = find_scalar("attention.head_count_kv");
  if (!details.kv_heads) details.kv_heads = details.heads;
  details.experts = find("expert_count");
  details.experts_used = find("expert_used_count");
}

void read_license(const Metadata& metadata, ModelDetails& details) {
  for (const char* key : {"general.license.name", "general.license"}) {
    details.license = string_of(metadata, key);
    if (!details.license.empty()) break;
  }
}

std::string first_line(const std::string& text) {
  std::string line = printable(text.substr(0, text.find('\n')));
  if (line.size() > 100) line = line.substr(0, 97) + "...";
  return line;
}

json::value or_null(const std::optional<uint32_t>& value) {
  if (!value) return nullptr;
  return *value;
}

void add_number(Sections& sections, const char* key, const std::optional<uint32_t>& value) {
  if (value) sections.add(key, std::to_string(*value));
}

/// A folder of Hugging Face's is looked at for its text side alone.
ModelDetails read_folder_details(const std::string& path) {
  ModelDetails details;
  details.path = path;
  details.files = 0;
  details.cannot_run = "weights are read from .gguf files only; this is for its text side";
  try {
    const auto tokenizer = open_tokenizer(path);
    details.vocab_size = tokenizer->vocab_size();
    details.tokenizer = "Hugging Face";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
  try {
    details.chat_template = read_template_source(path).source;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
  return details;
}

}  // namespace

ModelDetails read_model_details(const std::string& path) {
  if (is_text_folder(path)) return read_folder_details(path);
  const ModelFile file = open_model_file(path);
  const Metadata& metadata = file.metadata();
  ModelDetails details;
  details.path = path;
  details.name = string_of(metadata, "general.name");
  details.family = string_of(metadata, "general.architecture");
  details.parameters = file.parameter_count();
  details.files = static_cast<uint32_t>(file.files().size());
  for (const MappedFile& part : file.files()) details.file_bytes += part.bytes().size();
  read_sizes(metadata, details);
  read_tensors(file, details);
  if (const MetadataArray* tokens = metadata.find_array("tokenizer.ggml.tokens")) {
    details.vocab_size = tokens->count;
  }
  details.tokenizer = string_of(metadata, "tokenizer.ggml.model");
  const std::string pre = string_of(metadata, "tokenizer.ggml.pre");
  if (!pre.empty()) details.tokenizer += " (" + pre + ")";
  if (const auto text = metadata.find_string("tokenizer.chat_template")) {
    details.chat_template = std::string(*text);
  }
  read_license(metadata, details);
  try {
    describe_model(file);
  } catch (const Error& error) {
    details.cannot_run = error.what();
  }
  return details;
}

json::object details_to_json(const ModelDetails& details, bool with_tensors) {
  json::object object;
  object["path"] = details.path;
  object["name"] = details.name;
  object["family"] = details.family;
  object["runs"] = details.cannot_run.empty();
  if (!details.cannot_run.empty()) object["cannot_run"] = details.cannot_run;
  object["parameters"] = details.parameters;
  object["file_bytes"] = details.file_bytes;
  object["files"] = details.files;
  json::array types;
  for (const TypeShare& share : details.types) {
    types.push_back({{"type", share.type}, {"tensors", share.tensors}, {"bytes", share.bytes}});
  }
  object["weight_types"] = std::move(types);
  object["context_length"] = or_null(details.context_length);
  object["embedding_length"] = or_null(details.embedding_length);
  object["layers"] = or_null(details.layers);
  object["heads"] = or_null(details.heads);
  object["kv_heads"] = or_null(details.kv_heads);
  object["experts"] = or_null(details.experts);
  object["experts_used"] = or_null(details.experts_used);
  object["vocab_size"] = details.vocab_size;
  object["tokenizer"] = details.tokenizer;
  object["template"] = nullptr;
  if (details.chat_template) object["template"] = *details.chat_template;
  object["license"] = details.license;
  if (with_tensors) {
    json::array tensors;
    for (const TensorDetails& tensor : details.tensors) {
      tensors.push_back({{"name", tensor.name},
                         {"type", tensor.type},
                         {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                         {"bytes", tensor.bytes}});
    }
    object["tensors"] = std::move(tensors);
  }
  return object;
}

std::string details_to_text(const ModelDetails& details, const Terminal& terminal) {
  Sections sections;
  sections.begin("Model");
  if (!details.name.empty()) sections.add("name", first_line(details.name));
  sections.add("family", details.family.empty() ? "—" : printable(details.family));
  if (!details.cannot_run.empty()) {
    sections.add("cannot run", terminal.styled(Style::kRed, printable(details.cannot_run)));
  }
  if (details.files > 0) sections.add("parameters", format_count(details.parameters));
  add_number(sections, "context length", details.context_length);
  add_number(sections, "embedding length", details.embedding_length);
  add_number(sections, "layers", details.layers);
  if (details.heads && details.kv_heads && details.heads != details.kv_heads) {
    sections.add("heads",
                 fmt::format("{} ({} for keys and values)", *details.heads, *details.kv_heads));
  } else {
    add_number(sections, "heads", details.heads);
  }
  if (details.experts && *details.experts > 0) {
    sections.add("experts", fmt::format("{}, {} used per token", *details.experts,
                                        details.experts_used.value_or(0)));
  }
  if (!details.tokenizer.empty()) {
    sections.add("vocabulary",
                 fmt::format("{} tokens, {}", details.vocab_size, printable(details.tokenizer)));
  }
  sections.add("template", details.chat_template
                               ? "present, " + format_bytes(details.chat_template->size())
                               : "—");
  sections.add("license", details.license.empty() ? "—" : first_line(details.license));
  if (details.files == 0) return sections.to_string(terminal);
  sections.begin("Weights");
  const std::string parts = details.files == 1 ? "" : fmt::format(" in {} files", details.files);
  sections.add("file size", format_bytes(details.file_bytes) + parts);
  for (const TypeShare& share : details.types) {
    sections.add(share.type, fmt::format("{} tensor{}, {}", share.tensors,
                                         share.tensors == 1 ? "" : "s", format_bytes(share.bytes)));
  }
  return sections.to_string(terminal);
}

}  // namespace omg::cli
