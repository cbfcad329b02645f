// SPDX-License-Identifier: Apache-2.0
//
// The model that is linked into the program: "guide", which explains it. Its bytes are read where
// the system has mapped the program itself, so that they need no file, no folder and no network,
// nothing is ever copied or left behind, and all processes share their pages. A worker process is
// the same program, so that it has them too.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/digest.h"

namespace omg {

inline constexpr std::string_view kGuideName = "guide";
inline constexpr std::string_view kGuideFilename = "guide.gguf";

/// Stands for the bytes where a path is wanted: open_model_file() knows it. No file can have it,
/// since the program is no folder.
inline constexpr std::string_view kGuidePath = "/proc/self/exe/guide.gguf";

/// The bytes that `path` stands for; nothing where it is the path of a file.
std::optional<std::span<const std::byte>> builtin_bytes(std::string_view path);

/// Of the bytes, as the build has computed it.
Digest guide_digest();

}  // namespace omg
