// SPDX-License-Identifier: Apache-2.0
//
// Manifests of Ollama's and OCI registries: a config and layers, each a blob with a media type, a
// size and a digest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "hub/remote_model.h"

namespace omg {

struct ManifestLayer {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::string title;  // a file name that the manifest gives; checked; "" if none
};

struct RegistryManifest {
  std::string media_type;
  /// For an index of manifests only: the others are empty then.
  std::vector<ManifestLayer> manifests;
  std::vector<ManifestLayer> config;  // none or one
  std::vector<ManifestLayer> layers;
};

/// Throws Error(kCorrupt) or kLimitExceeded. At most 4 MiB and 20,000 layers.
RegistryManifest parse_manifest(std::string_view json, const std::string& source);
/// The layers and the config as files with distinct names ("model.gguf", "template", …), their
/// roles and digests; `blob_url` stands before a digest.
std::vector<RemoteFile> manifest_files(const RegistryManifest& manifest,
                                       const std::string& blob_url, const std::string& source);

}  // namespace omg
