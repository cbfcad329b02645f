// SPDX-License-Identifier: Apache-2.0
//
// Media types: Ollama's "application/vnd.ollama.image.<kind>".
#include "daemon/jobs/registry_settings.h"

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"

namespace omg {
namespace {

/// Licences of several tens of KiB are usual.
constexpr uint64_t kMaxLayerBytes = 1u << 20;
constexpr std::string_view kPrefix = "application/vnd.ollama.image.";

void read_messages(const json::value& value, const std::string& what, StoredModel& model) {
  if (!value.is_array()) throw Error(ErrorCode::kCorrupt, what + " is no list of messages");
  for (const json::value& entry : value.get_array()) {
    const auto text = [&](const char* key) {
      const json::value* field = entry.is_object() ? entry.get_object().if_contains(key) : nullptr;
      if (field == nullptr || !field->is_string()) {
        throw Error(ErrorCode::kCorrupt, what + ": a message without '" + key + "'");
      }
      return std::string(field->get_string());
    };
    model.settings.messages.push_back({text("role"), text("content")});
  }
}

void read_layer(std::string_view kind, const std::string& text, const std::string& what,
                StoredModel& model) {
  ModelSettings& settings = model.settings;
  if (kind == "template") {
    settings.chat_template = text;
    settings.template_syntax = "go";
  } else if (kind == "system") {
    settings.system = text;
  } else if (kind == "license") {
    const std::string before = settings.license_text ? *settings.license_text + "\n" : "";
    settings.license_text = before + text;
  } else if (kind == "params") {
    const json::value parameters = parse_json(text, what);
    if (!parameters.is_object()) throw Error(ErrorCode::kCorrupt, what + " is no JSON object");
    settings.parameters = parameters.get_object();
  } else if (kind == "messages") {
    read_messages(parse_json(text, what), what, model);
  }
}

}  // namespace

void read_registry_settings(const Store& store, StoredModel& model) {
  RealFileSystem files;
  for (const Artifact& artifact : model.artifacts) {
    if (!artifact.media_type.starts_with(kPrefix)) continue;
    const std::string kind = artifact.media_type.substr(kPrefix.size());
    if (kind == "model" || kind == "projector" || kind == "adapter") continue;
    const std::string path =
        artifact.reference ? artifact.reference->path : store.blob_path(*artifact.digest);
    const std::string what = model.name.str() + ": the layer " + artifact.filename;
    read_layer(kind, read_file(files, path, kMaxLayerBytes), what, model);
  }
}

}  // namespace omg
