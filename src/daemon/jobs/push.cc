// SPDX-License-Identifier: Apache-2.0
//
// Media types and the config's members: those of Ollama's registry.
#include "daemon/jobs/push.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "daemon/jobs/describe.h"
#include "hub/model_name.h"
#include "hub/registry/manifest.h"

namespace omg {
namespace {

constexpr const char* kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr const char* kConfigType = "application/vnd.docker.container.image.v1+json";
constexpr const char* kLayerPrefix = "application/vnd.ollama.image.";

HttpUpload upload_of_text(std::string text) {
  HttpUpload upload;
  upload.size = text.size();
  upload.read = [text = std::move(text)](uint64_t offset, char* out, size_t capacity) {
    const size_t count = std::min<size_t>(capacity, text.size() - offset);
    std::memcpy(out, text.data() + offset, count);
    return count;
  };
  return upload;
}

HttpUpload upload_of_file(const std::string& path) {
  const auto file = std::make_shared<MappedFile>(MappedFile::open(path));
  HttpUpload upload;
  upload.size = file->bytes().size();
  upload.read = [file](uint64_t offset, char* out, size_t capacity) {
    const size_t count = std::min<size_t>(capacity, file->bytes().size() - offset);
    std::memcpy(out, file->bytes().data() + offset, count);
    return count;
  };
  return upload;
}

Digest digest_of(const UsedFile& file, const CancellationToken& cancellation) {
  if (file.artifact.digest) return *file.artifact.digest;
  const MappedFile mapped = MappedFile::open(file.path);
  Sha256 hasher;
  constexpr size_t kPiece = 16u << 20;
  for (size_t at = 0; at < mapped.bytes().size(); at += kPiece) {
    cancellation.throw_if_cancelled();
    hasher.update(mapped.bytes().subspan(at, std::min(kPiece, mapped.bytes().size() - at)));
  }
  return hasher.digest();
}

/// What is sent: blobs, and the manifest that names them.
struct Image {
  std::vector<PushBlob> blobs;
  std::string manifest;
  std::string media_type = kManifestType;
};

json::object descriptor(const std::string& media_type, const PushBlob& blob) {
  return {{"mediaType", media_type}, {"digest", blob.digest.str()}, {"size", blob.content.size}};
}

/// Adds blobs and their descriptors one after the other.
class ImageBuilder {
 public:
  void add(const std::string& kind, PushBlob blob) {
    layers_.push_back(descriptor(kLayerPrefix + kind, blob));
    image_.blobs.push_back(std::move(blob));
  }
  void add_text(const std::string& kind, const std::string& text) {
    add(kind, {sha256(text), upload_of_text(text)});
  }
  Image finish(const StoredModel& model) {
    json::array diff_ids;
    for (const PushBlob& blob : image_.blobs) diff_ids.emplace_back(blob.digest.str());
    const std::string config = json::serialize(
        json::object{{"model_format", "gguf"},
                     {"model_family", model.family},
                     {"model_families", json::array{json::value(model.family)}},
                     {"model_type", std::to_string(model.parameter_count)},
                     {"file_type", model.quantization},
                     {"architecture", "amd64"},
                     {"os", "linux"},
                     {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}}}});
    PushBlob blob{sha256(config), upload_of_text(config)};
    image_.manifest = json::serialize(json::object{{"schemaVersion", 2},
                                                   {"mediaType", kManifestType},
                                                   {"config", descriptor(kConfigType, blob)},
                                                   {"layers", layers_}});
    image_.blobs.push_back(std::move(blob));
    return std::move(image_);
  }

 private:
  Image image_;
  json::array layers_;
};

void add_settings(const ModelSettings& settings, ImageBuilder& builder) {
  // A Jinja template is in the .gguf itself; registries keep Go's.
  if (settings.chat_template && settings.template_syntax == "go") {
    builder.add_text("template", *settings.chat_template);
  }
  if (settings.system) builder.add_text("system", *settings.system);
  if (!settings.parameters.empty()) {
    builder.add_text("params", json::serialize(settings.parameters));
  }
  if (!settings.messages.empty()) {
    json::array messages;
    for (const ModelMessage& message : settings.messages) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    builder.add_text("messages", json::serialize(messages));
  }
  if (settings.license_text) builder.add_text("license", *settings.license_text);
}

Image make_image(const UsedModel& used, const CancellationToken& cancellation) {
  const StoredModel& model = used.model();
  ImageBuilder builder;
  size_t weights = 0;
  for (const UsedFile& file : used.files()) {
    const std::string& role = file.artifact.role;
    if (role == "weights" && file.artifact.format == "gguf") ++weights;
    const char* kind = role == "weights"     ? "model"
                       : role == "projector" ? "projector"
                       : role == "adapter"   ? "adapter"
                                             : nullptr;
    if (kind) builder.add(kind, {digest_of(file, cancellation), upload_of_file(file.path)});
  }
  if (weights != 1) {
    throw Error(ErrorCode::kUnsupported,
                "'" + model.name.str() + "' has " + std::to_string(weights) +
                    " .gguf files with weights; a registry's model has one: join its parts first");
  }
  add_settings(model.settings, builder);
  return builder.finish(model);
}

/// The image that the model came as; nothing if it did not, or was changed.
std::optional<Image> kept_image(const UsedModel& used) {
  const json::value* kept = used.model().extra.if_contains("manifest");
  if (kept == nullptr || !kept->is_string()) return std::nullopt;
  Image image;
  image.manifest = std::string(kept->get_string());
  const RegistryManifest manifest = parse_manifest(image.manifest, used.model().name.str());
  if (!manifest.media_type.empty()) image.media_type = manifest.media_type;
  const auto add = [&](const ManifestLayer& layer) {
    for (const UsedFile& file : used.files()) {
      if (file.artifact.digest != layer.digest) continue;
      image.blobs.push_back({layer.digest, upload_of_file(file.path)});
      return true;
    }
    return false;
  };
  for (const ManifestLayer& layer : manifest.layers) {
    if (!add(layer)) return std::nullopt;
  }
  for (const ManifestLayer& config : manifest.config) {
    if (!add(config)) return std::nullopt;
  }
  return image;
}

}  // namespace

PushReport push_model(Store& store, Registry& registry, const StoreName& model,
                      const RegistryName& destination,
                      const std::function<void(const PushProgress&)>& progress,
                      const CancellationToken& cancellation) {
  const UsedModel used = store.use(model);
  std::optional<Image> kept = kept_image(used);
  const Image image = kept ? std::move(*kept) : make_image(used, cancellation);
  PushReport report{to_string(ModelName(destination)), sha256(image.manifest), image.blobs.size()};
  registry.push(
      destination, image.blobs, image.manifest, image.media_type,
      [&](const PushProgress& now) {
        if (now.already_there) ++report.already_there;
        if (!now.already_there && now.sent == now.size) report.sent += now.size;
        if (progress) progress(now);
      },
      cancellation);
  return report;
}

}  // namespace omg
