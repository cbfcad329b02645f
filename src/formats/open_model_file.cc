// SPDX-License-Identifier: Apache-2.0
//
// Picks the reader for a path. GGUF is the one format so far.
#include "formats/open_model_file.h"

#include "builtin/builtin.h"
#include "formats/gguf/reader.h"

namespace omg {

ModelFile open_model_file(const std::string& path) {
  if (const auto bytes = builtin_bytes(path)) {
    return gguf::open(MappedFile::of_program(path, *bytes));
  }
  return gguf::open(path);
}

}  // namespace omg
