// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/inspect.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file_system.h"
#include "base/utf8.h"
#include "daemon/jobs/describe.h"
#include "formats/open_model_file.h"

namespace omg {
namespace {

constexpr uint64_t kMaxLicenseBytes = 1u << 20;

json::value number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

/// The shortest decimal number that is this float: as a double it would show what it is not.
json::value number(float value) {
  if (!std::isfinite(value)) return nullptr;
  char text[32];
  const auto [end, status] = std::to_chars(text, text + sizeof(text), value);
  double result = value;
  if (status == std::errc()) std::from_chars(text, end, result);
  return result;
}

json::value text(std::string_view value) {
  if (is_valid_utf8(value)) return json::value(value);
  return json::value(replace_invalid_utf8(value));
}

template <typename T>
json::array numbers(const MetadataArray& array) {
  json::array list;
  list.reserve(array.count);
  for (size_t i = 0; i < array.count; ++i) {
    T value;
    std::memcpy(&value, array.bytes.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_floating_point_v<T>) {
      list.push_back(number(value));
    } else {
      list.emplace_back(value);
    }
  }
  return list;
}

json::array booleans(const MetadataArray& array) {
  json::array list;
  for (const std::byte byte : array.bytes) list.emplace_back(byte != std::byte{0});
  return list;
}

json::value array_to_json(const MetadataArray& array) {
  switch (array.element_type) {
    case MetadataType::kU8:
      return numbers<uint8_t>(array);
    case MetadataType::kI8:
      return numbers<int8_t>(array);
    case MetadataType::kU16:
      return numbers<uint16_t>(array);
    case MetadataType::kI16:
      return numbers<int16_t>(array);
    case MetadataType::kU32:
      return numbers<uint32_t>(array);
    case MetadataType::kI32:
      return numbers<int32_t>(array);
    case MetadataType::kU64:
      return numbers<uint64_t>(array);
    case MetadataType::kI64:
      return numbers<int64_t>(array);
    case MetadataType::kF32:
      return numbers<float>(array);
    case MetadataType::kF64:
      return numbers<double>(array);
    case MetadataType::kBool:
      return booleans(array);
    case MetadataType::kString:
    case MetadataType::kArray:
      break;
  }
  json::array list;
  list.reserve(array.strings.size());
  for (const std::string_view string : array.strings) list.push_back(text(string));
  return list;
}

json::value value_to_json(const MetadataValue& value, bool all) {
  if (const auto* array = std::get_if<MetadataArray>(&value.data)) {
    return all || array->count <= kShortArray ? array_to_json(*array) : json::value(nullptr);
  }
  if (const auto* string = std::get_if<std::string_view>(&value.data)) return text(*string);
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag;
  if (const auto* real = std::get_if<double>(&value.data)) {
    return value.type == MetadataType::kF32 ? number(static_cast<float>(*real)) : number(*real);
  }
  if (const auto* whole = std::get_if<int64_t>(&value.data)) return *whole;
  return std::get<uint64_t>(value.data);
}

std::string path_of(const Store& store, const Artifact& artifact) {
  return artifact.reference ? artifact.reference->path : store.blob_path(*artifact.digest);
}

/// Parts of a split model are looked for by name, which only a view has; making one counts as a
/// use. A single file is opened where it lies.
ModelFile open_weights(Store& store, const StoredModel& model, const Artifact& main) {
  const auto weights =
      std::count_if(model.artifacts.begin(), model.artifacts.end(),
                    [](const Artifact& a) { return a.role == "weights" && a.format == "gguf"; });
  if (weights > 1) {
    UsedModel used = store.use(model.name);
    return open_model_file(store.path_for_reader(used, main));
  }
  const std::vector<StoreProblem> problems = store.missing(model);
  if (!problems.empty()) {
    throw Error(ErrorCode::kCorrupt,
                "cannot show '" + model.name.str() + "': " + problems.front().message);
  }
  return open_model_file(path_of(store, main));
}

/// Added to what the manifest says, which older versions have written.
void add_capabilities(const Metadata& metadata, ModelInspection& inspection) {
  std::vector<std::string> known = inspection.model.capabilities;
  if (known.empty()) known = template_capabilities(inspection.chat_template);
  inspection.capabilities = capabilities_of(metadata);
  const bool embeds = inspection.capabilities.front() == "embedding";
  for (std::string& capability : known) {
    const auto& list = inspection.capabilities;
    if (embeds && capability == "completion") continue;
    if (std::find(list.begin(), list.end(), capability) == list.end()) {
      inspection.capabilities.push_back(std::move(capability));
    }
  }
}

void read_weights(const ModelFile& file, bool all, ModelInspection& inspection) {
  inspection.metadata = metadata_to_json(file.metadata(), all);
  for (const TensorView& tensor : file.tensors()) {
    inspection.tensors.push_back({replace_invalid_utf8(tensor.name),
                                  std::string(info(tensor.type).name),
                                  {tensor.shape.begin(), tensor.shape.begin() + tensor.rank}});
  }
  if (inspection.chat_template.empty()) {
    inspection.chat_template =
        replace_invalid_utf8(file.metadata().find_string("tokenizer.chat_template").value_or(""));
  }
  add_capabilities(file.metadata(), inspection);
}

std::string license_of(const Store& store, const StoredModel& model) {
  if (model.settings.license_text) return *model.settings.license_text;
  RealFileSystem files;
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.role != "license" || artifact.size > kMaxLicenseBytes) continue;
    try {
      return replace_invalid_utf8(read_file(files, path_of(store, artifact), kMaxLicenseBytes));
    } catch (const Error&) {  // its name, then
    }
  }
  return model.license;
}

}  // namespace

json::object metadata_to_json(const Metadata& metadata, bool all) {
  json::object object;
  object.reserve(metadata.entries().size());
  for (const Metadata::Entry& entry : metadata.entries()) {
    object[replace_invalid_utf8(entry.key)] = value_to_json(entry.value, all);
  }
  return object;
}

ModelInspection inspect_model(Store& store, StoredModel model, bool all_metadata) {
  ModelInspection inspection;
  inspection.license = license_of(store, model);
  const ModelSettings& settings = model.settings;
  if (settings.chat_template && settings.template_syntax != "go") {
    inspection.chat_template = *settings.chat_template;
  }
  inspection.capabilities = model.capabilities;
  inspection.model = std::move(model);
  if (const auto main = main_gguf(inspection.model)) {
    const StoredModel& stored = inspection.model;
    read_weights(open_weights(store, stored, stored.artifacts[*main]), all_metadata, inspection);
  }
  return inspection;
}

}  // namespace omg
