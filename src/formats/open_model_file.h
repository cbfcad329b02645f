// SPDX-License-Identifier: Apache-2.0
//
// The door to formats/: a path becomes a ModelFile, whatever format it is in.
#pragma once

#include <string>

#include "formats/model_file.h"

namespace omg {

/// Opens a .gguf file (any part of a split one), or the one that is linked into the program, by its
/// path in builtin/builtin.h. Throws Error naming the file.
ModelFile open_model_file(const std::string& path);

}  // namespace omg
