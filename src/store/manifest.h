// SPDX-License-Identifier: Apache-2.0
//
// Manifests as text: JSON that a person can read and mend, and a reader that trusts none of it.
#pragma once

#include <string>
#include <string_view>

#include "store/stored_model.h"

namespace omg {

/// A manifest, or a bundle's description, beyond this is refused before it is read: licences and
/// templates take most of one, and the longest known are below 1 MiB.
inline constexpr uint64_t kMaxManifestBytes = 16u << 20;
/// Files of one model: the largest published have some hundreds of parts.
inline constexpr size_t kMaxArtifacts = 16384;

/// Two spaces of indent, one line for each simple value, a newline at the end. Throws
/// Error(kInvalidArgument) for what manifest_from_json() would not take back.
std::string manifest_to_json(const StoredModel& model);

/// `what` names the text in errors. Throws Error(kCorrupt) for what is no manifest and
/// Error(kUnsupported) for one of a newer format. Keys that are not known are passed over.
StoredModel manifest_from_json(std::string_view text, const std::string& what);

/// Throws Error(kInvalidArgument) unless `filename` is relative, at most 1024 bytes of UTF-8, and
/// has no empty, "." or ".." part, no part over 255 bytes, no backslash and no control character:
/// it may then be put below a folder.
void check_artifact_filename(std::string_view filename);

}  // namespace omg
