// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a manifest: they are refused with a typed error, or become a model that can be
// written and read back the same, and whose names stay where they belong.
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "store/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const omg::StoredModel model = omg::manifest_from_json(text, "fuzz");
    if (model.name.key().empty() || model.name.key().size() > 200 ||
        model.name.key().find('/') != std::string::npos || model.name.key().front() == '.') {
      std::abort();
    }
    for (const omg::Artifact& artifact : model.artifacts) {
      omg::check_artifact_filename(artifact.filename);
      if (!artifact.digest && !artifact.reference) std::abort();
    }
    const std::string written = omg::manifest_to_json(model);
    if (omg::manifest_to_json(omg::manifest_from_json(written, "fuzz")) != written) std::abort();
  } catch (const omg::Error& error) {
    if (error.code() != omg::ErrorCode::kCorrupt && error.code() != omg::ErrorCode::kUnsupported) {
      std::abort();
    }
  }
  return 0;
}
