// SPDX-License-Identifier: Apache-2.0
//
// Ollama's models folder: manifests/<host>/<namespace>/<model>/<tag>, each a registry's manifest
// whose layers are blobs/sha256-<hex>. Weights become references; the small layers of text (system,
// template, parameters, messages, licence) are read, checked against their digests, and become
// settings.
#include <string_view>

#include "base/error.h"
#include "store/adopt_scan.h"

namespace omg {
namespace {

constexpr uint64_t kMaxOllamaManifest = 4u << 20;
constexpr uint64_t kMaxText = 1u << 20;  // of one layer; the longest licences have some 30 kB
constexpr size_t kMaxLayers = 1024;
constexpr std::string_view kMediaPrefix = "application/vnd.ollama.image.";

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

struct Layer {
  std::string kind;  // "model", "template", …
  std::string media_type;
  Digest digest;
  uint64_t size;
};

class OllamaModel {
 public:
  OllamaModel(ForeignScan& scan, const std::string& root, StoredModel model)
      : scan_(scan), root_(root), model_(std::move(model)) {}

  void read(const std::string& path) {
    const std::string bytes = read_file(scan_.files, path, kMaxOllamaManifest);
    model_.origin.commit = sha256(bytes).str();
    const json::value value =
        parse_json(bytes, "the manifest", {.max_bytes = kMaxOllamaManifest, .max_depth = 32});
    const json::object* manifest = value.if_object();
    const json::value* layers = manifest == nullptr ? nullptr : manifest->if_contains("layers");
    if (layers == nullptr || !layers->is_array() || layers->get_array().size() > kMaxLayers) {
      throw Error(ErrorCode::kCorrupt, "the manifest has no list of layers");
    }
    for (const json::value& layer : layers->get_array()) add(layer_of(layer));
    if (model_.artifacts.empty()) {
      throw Error(ErrorCode::kUnsupported, "it has no weights here (a model of a remote service?)");
    }
    if (const json::value* config = manifest->if_contains("config")) {
      add_config(layer_of(*config));
    }
    scan_.found.models.push_back(std::move(model_));
  }

 private:
  static Layer layer_of(const json::value& value) {
    const json::object* object = value.if_object();
    if (object == nullptr) throw Error(ErrorCode::kCorrupt, "a layer is no object");
    const auto digest = Digest::parse(text_of(*object, "digest"));
    const json::value* size = object->if_contains("size");
    if (!digest || size == nullptr || !size->is_int64() || size->get_int64() < 0) {
      throw Error(ErrorCode::kCorrupt, "a layer has no valid digest and size");
    }
    std::string media_type = text_of(*object, "mediaType");
    std::string kind;
    if (media_type.starts_with(kMediaPrefix)) {
      kind = media_type.substr(kMediaPrefix.size());
      kind.resize(std::min(kind.find_first_of("+;"), kind.size()));
    }
    return {kind, media_type, *digest, static_cast<uint64_t>(size->get_int64())};
  }

  /// Ollama wrote "sha256:<hex>" until 2024 and "sha256-<hex>" since.
  std::string blob_path(const Digest& digest) {
    const std::string path = root_ + "/blobs/" + digest.file_name();
    const std::string old = root_ + "/blobs/" + digest.str();
    return !scan_.files.info(path) && scan_.files.info(old) ? old : path;
  }

  void add(const Layer& layer) {
    if (layer.kind == "template" || layer.kind == "prompt") {
      model_.settings.chat_template = read_text(layer);
      model_.settings.template_syntax = "go";
    } else if (layer.kind == "system") {
      model_.settings.system = read_text(layer);
    } else if (layer.kind == "license") {
      std::string& text = model_.settings.license_text.emplace(
          model_.settings.license_text ? *model_.settings.license_text + "\n\n" : "");
      text += read_text(layer);
    } else if (layer.kind == "params") {
      const json::value value = read_json(layer);
      if (value.is_object()) model_.settings.parameters = value.get_object();
    } else if (layer.kind == "messages") {
      add_messages(read_json(layer));
    } else {
      add_file(layer);
    }
  }

  void add_file(const Layer& layer) {
    const std::string path = blob_path(layer.digest);
    std::string role = "other";
    if (layer.kind == "model") role = "weights";
    if (layer.kind == "projector" || layer.kind == "adapter") role = layer.kind;
    const bool weights = role != "other";
    std::string filename = is_plain_name(layer.kind) ? layer.kind : "layer";
    size_t same = 0;
    for (const Artifact& artifact : model_.artifacts) {
      if (artifact.media_type == layer.media_type) ++same;
    }
    if (same > 0) filename += "-" + std::to_string(same + 1);
    if (weights) filename += ".gguf";
    Artifact artifact;
    try {
      artifact = reference_to(scan_.files, path, filename, FileOwner::kOllama);
    } catch (const Error& error) {
      throw Error(error.code(), path + ": " + error.what());
    }
    if (artifact.size != layer.size) {
      throw Error(ErrorCode::kCorrupt, path + " has " + std::to_string(artifact.size) +
                                           " bytes instead of " + std::to_string(layer.size));
    }
    artifact.digest = layer.digest;
    artifact.role = role;
    artifact.format = weights ? "gguf" : "";
    artifact.media_type = layer.media_type;
    model_.artifacts.push_back(std::move(artifact));
  }

  std::string read_text(const Layer& layer) {
    const std::string path = blob_path(layer.digest);
    std::string text = read_file(scan_.files, path, kMaxText);
    if (sha256(text) != layer.digest) {
      throw Error(ErrorCode::kCorrupt, path + " does not have the digest that its name says");
    }
    return text;
  }

  json::value read_json(const Layer& layer) {
    return parse_json(read_text(layer), "layer " + layer.digest.str(),
                      {.max_bytes = kMaxText, .max_depth = 32});
  }

  void add_messages(const json::value& value) {
    const json::array* messages = value.if_array();
    if (messages == nullptr) throw Error(ErrorCode::kCorrupt, "its messages are no list");
    for (const json::value& message : *messages) {
      if (const json::object* object = message.if_object()) {
        model_.settings.messages.push_back({text_of(*object, "role"), text_of(*object, "content")});
      }
    }
  }

  void add_config(const Layer& layer) {
    const json::value value = read_json(layer);
    const json::object* config = value.if_object();
    if (config == nullptr) return;
    model_.family = text_of(*config, "model_family");
    model_.quantization = text_of(*config, "file_type");
    const json::value* length = config->if_contains("context_length");
    if (length != nullptr && length->is_int64() && length->get_int64() > 0) {
      model_.context_length = static_cast<uint64_t>(length->get_int64());
    }
    const json::value* capabilities = config->if_contains("capabilities");
    if (capabilities == nullptr || !capabilities->is_array()) return;
    for (const json::value& capability : capabilities->get_array()) {
      if (capability.is_string() && model_.capabilities.size() < 64) {
        model_.capabilities.emplace_back(capability.get_string());
      }
    }
  }

  ForeignScan& scan_;
  const std::string& root_;
  StoredModel model_;
};

/// The name that a user of Ollama types.
std::string user_name(const std::string& host, const std::string& space, const std::string& model,
                      const std::string& tag) {
  const std::string short_name = model + ":" + tag;
  if (host == "hf.co" || host == "huggingface.co") return space + "/" + short_name;
  if (host == "registry.ollama.ai" && space == "library") return short_name;
  return host + "/" + space + "/" + short_name;
}

/// Calls `step` with each folder's or file's name that may be part of a model's name.
void for_each_name(ForeignScan& scan, const std::string& folder,
                   const std::function<void(const std::string&)>& step) {
  const auto info = scan.files.info(folder);
  if (!info || !info->is_folder()) return scan.problem(folder, "it is no folder");
  for (const std::string& name : scan.list(folder)) {
    std::string plain = name;  // a host may have a port
    std::erase(plain, ':');
    if (is_plain_name(plain)) {
      scan.guarded(folder + "/" + name, [&] { step(name); });
    } else {
      scan.problem(folder + "/" + name, "its name is no part of a model's name");
    }
  }
}

}  // namespace

void scan_ollama(ForeignScan& scan, const std::string& models) {
  const std::string root = models + "/manifests";
  for_each_name(scan, root, [&](const std::string& host) {
    for_each_name(scan, root + "/" + host, [&](const std::string& space) {
      const std::string spaces = root + "/" + host + "/" + space;
      for_each_name(scan, spaces, [&](const std::string& name) {
        for_each_name(scan, spaces + "/" + name, [&](const std::string& tag) {
          StoredModel model{StoreName(user_name(host, space, name, tag))};
          model.origin = {ModelProvider::kRegistry, "https://" + host, space + "/" + name, tag, ""};
          OllamaModel(scan, models, std::move(model)).read(spaces + "/" + name + "/" + tag);
        });
      });
    });
  });
}

}  // namespace omg
