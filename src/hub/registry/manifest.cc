// SPDX-License-Identifier: Apache-2.0
//
// Reads manifests, and names what they hold.
#include "hub/registry/manifest.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>

#include "base/error.h"
#include "hub/fetch.h"
#include "hub/selection.h"

namespace omg {
namespace {

constexpr size_t kMaxManifestBytes = 4u << 20;
constexpr size_t kMaxLayers = 20'000;
constexpr uint64_t kMaxLayerBytes = uint64_t{1} << 50;

struct Kind {
  std::string_view media_type;
  std::string_view name;  // of the file; a number goes before its ending if there are several
  RemoteFileRole role;
};

/// Ollama's layers, and those of OCI model artifacts (Docker's model runner).
constexpr std::array<Kind, 13> kKinds = {{
    {"application/vnd.ollama.image.model", "model.gguf", RemoteFileRole::kWeights},
    {"application/vnd.docker.ai.gguf.v3", "model.gguf", RemoteFileRole::kWeights},
    {"application/vnd.ollama.image.projector", "mmproj.gguf", RemoteFileRole::kProjector},
    {"application/vnd.docker.ai.mmproj", "mmproj.gguf", RemoteFileRole::kProjector},
    {"application/vnd.ollama.image.adapter", "adapter.gguf", RemoteFileRole::kAdapter},
    {"application/vnd.ollama.image.template", "template.txt", RemoteFileRole::kTemplate},
    {"application/vnd.ollama.image.prompt", "template.txt", RemoteFileRole::kTemplate},
    {"application/vnd.ollama.image.system", "system.txt", RemoteFileRole::kTemplate},
    {"application/vnd.ollama.image.params", "params.json", RemoteFileRole::kTemplate},
    {"application/vnd.ollama.image.messages", "messages.json", RemoteFileRole::kTemplate},
    {"application/vnd.ollama.image.license", "license.txt", RemoteFileRole::kLicense},
    {"application/vnd.docker.ai.license", "license.txt", RemoteFileRole::kLicense},
    {"application/vnd.ollama.image.draft", "draft.gguf", RemoteFileRole::kOther},
}};

[[noreturn]] void refuse(const std::string& source, const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "the manifest of " + source + " cannot be used: " + why +
                                       "; tell whoever published it");
}

ManifestLayer read_layer(const json::value& value, const std::string& source) {
  const json::object* object = value.if_object();
  if (object == nullptr) refuse(source, "a layer is no JSON object");
  const std::string text = string_member(*object, "digest");
  const auto digest = Digest::parse(text);
  if (!digest || !text.starts_with("sha256:")) {
    refuse(source, "'" + clean_text(text, 80) + "' is no SHA-256 digest");
  }
  const auto size = number_member(*object, "size");
  if (!size || *size > kMaxLayerBytes) refuse(source, "a layer's size is missing or absurd");
  ManifestLayer layer{clean_text(string_member(*object, "mediaType")), *digest, *size, ""};
  layer.title = string_member(*object, "name");  // Ollama's layers of safetensors
  if (const json::object* notes = object_member(*object, "annotations");
      notes && layer.title.empty()) {
    layer.title = string_member(*notes, "org.opencontainers.image.title");
  }
  if (!layer.title.empty()) check_remote_path(layer.title, "the manifest of " + source);
  return layer;
}

std::vector<ManifestLayer> read_layers(const json::array* list, const std::string& source) {
  std::vector<ManifestLayer> layers;
  if (list == nullptr) return layers;
  if (list->size() > kMaxLayers) refuse(source, "it has more than 20000 layers");
  uint64_t total = 0;
  for (const json::value& value : *list) {
    layers.push_back(read_layer(value, source));
    if (layers.back().size > kMaxLayerBytes - total)
      refuse(source, "its sizes add up to absurdity");
    total += layers.back().size;
  }
  return layers;
}

std::pair<std::string_view, std::string_view> split_ending(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::pair{name, std::string_view()}
                                       : std::pair{name.substr(0, dot), name.substr(dot)};
}

/// "model-00002-of-00003.gguf" for parts of one model, "license-2.txt" for others.
std::string numbered(const Kind& kind, size_t number, size_t count) {
  if (count == 1) return std::string(kind.name);
  const auto [stem, ending] = split_ending(kind.name);
  char text[40];
  const bool is_part = kind.role == RemoteFileRole::kWeights;
  std::snprintf(text, sizeof text, is_part ? "-%05zu-of-%05zu" : "-%zu", number, count);
  return std::string(stem) + text + std::string(ending);
}

const Kind* kind_of(const ManifestLayer& layer) {
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                                 [&](const Kind& k) { return k.media_type == layer.media_type; });
  return kind == kKinds.end() ? nullptr : &*kind;
}

}  // namespace

RegistryManifest parse_manifest(std::string_view text, const std::string& source) {
  if (text.size() > kMaxManifestBytes) {
    throw Error(ErrorCode::kLimitExceeded, "the manifest of " + source +
                                               " cannot be used: it has more than 4 MiB; tell "
                                               "whoever published it");
  }
  const json::value value = parse_answer(text, "the manifest of " + source);
  const json::object* object = value.if_object();
  if (object == nullptr) refuse(source, "it is no JSON object");
  if (number_member(*object, "schemaVersion") != uint64_t{2}) {
    refuse(source, "its schema is not version 2");
  }
  RegistryManifest manifest;
  manifest.media_type = clean_text(string_member(*object, "mediaType"));
  manifest.manifests = read_layers(array_member(*object, "manifests"), source);
  manifest.layers = read_layers(array_member(*object, "layers"), source);
  if (const json::object* config = object_member(*object, "config")) {
    manifest.config.push_back(read_layer(*config, source));
  }
  if (manifest.layers.empty() && manifest.manifests.empty()) refuse(source, "it has no layers");
  return manifest;
}

std::vector<RemoteFile> manifest_files(const RegistryManifest& manifest,
                                       const std::string& blob_url, const std::string& source) {
  std::map<std::string_view, size_t> counts;
  for (const ManifestLayer& layer : manifest.layers) {
    if (const Kind* kind = kind_of(layer)) ++counts[kind->name];
  }
  std::map<std::string_view, size_t> seen;
  std::set<std::string> paths;
  std::vector<RemoteFile> files;
  const auto add = [&](const ManifestLayer& layer, std::string path, RemoteFileRole role) {
    if (!paths.insert(path).second) refuse(source, "it names '" + path + "' twice");
    RemoteFile file;
    file.path = std::move(path);
    file.size = layer.size;
    file.sha256 = layer.digest;
    file.url = blob_url + layer.digest.str();
    file.role = role;
    file.media_type = layer.media_type;
    files.push_back(std::move(file));
  };
  size_t others = 0;
  for (const ManifestLayer& layer : manifest.layers) {
    if (const Kind* kind = kind_of(layer)) {
      add(layer, numbered(*kind, ++seen[kind->name], counts[kind->name]), kind->role);
    } else if (!layer.title.empty()) {
      add(layer, layer.title, role_of_path(layer.title));
    } else {
      add(layer, "layer-" + std::to_string(++others), RemoteFileRole::kOther);
    }
  }
  for (const ManifestLayer& config : manifest.config) {
    // Not "config.json", which for safetensors is another thing.
    add(config, "registry-config.json", RemoteFileRole::kOther);
  }
  return files;
}

}  // namespace omg
