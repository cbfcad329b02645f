// SPDX-License-Identifier: Apache-2.0
//
// Whether a model that is still far away could run here, told from its first bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace omg {

/// The family that a .gguf's or config.json's first bytes name; nothing where they do not tell.
/// Throws Error where they cannot be of such a file.
std::optional<std::string> family_in_first_bytes(const std::string& path, std::string_view bytes);

/// By the name that a .gguf or a config.json gives it.
bool is_supported_family(std::string_view family);

/// Says which families there are.
Error unsupported_family(const std::string& model, const std::string& family);

}  // namespace omg
